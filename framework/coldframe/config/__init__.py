"""The configuration: one attrs schema from which loader, documentation and errors all come."""
