"""What clients may call: the methods of the WebSocket API and the endpoints of REST, with limits and signatures before them."""
