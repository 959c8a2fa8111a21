"""The strategies while they run: dispatch of events, views, desired states and the check of what they return."""
