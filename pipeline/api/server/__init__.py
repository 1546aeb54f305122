"""The HTTP server below the application: uvicorn with limits.

Laws: whatever clients send, or do not send, memory and connections are bounded; a client that is slow in sending or
reading is cut off and delays nobody; a new connection takes the place of one that is doing nothing, so that those who
hold connections open cannot keep others out; every response has the security headers.

    http_limits.py   the limits
    connections.py   who is connected: places by client, and the sweep over slow ones
    protocol.py      one connection: uvicorn's protocol with the limits
    http_server.py   listens, serves, ends; TLS
"""
