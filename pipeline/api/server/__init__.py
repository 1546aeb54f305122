"""Runs the HTTP server below the application: uvicorn with limits on connections, bytes and time.

Memory and the number of connections are bounded, whatever clients send. A client that sends or reads too slowly is
disconnected. A new connection may replace an idle connection, so that idle clients cannot keep others out. Every
response has the security headers.

    http_limits.py   declares the limits
    connections.py   keeps the table of open connections, limits clients and closes slow connections
    protocol.py      handles one connection: uvicorn's protocol with the limits
    http_server.py   starts and stops the server, with or without TLS
"""
