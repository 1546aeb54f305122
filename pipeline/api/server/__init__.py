"""The HTTP server below the application: uvicorn with limits.

Laws: whatever clients send, or do not send, memory and connections are bounded; a client that sends or reads too slowly
is disconnected; a new connection may replace an idle one, so that idle clients cannot keep others out; every response
has the security headers.

    http_limits.py   the limits
    connections.py   the open connections: limits by client, and the end of slow connections
    protocol.py      one connection: uvicorn's protocol with the limits
    http_server.py   listens, serves, ends; TLS
"""
