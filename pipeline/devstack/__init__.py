"""Real servers as child processes, for tests, benchmarks and `make up`.

process           a server as a child process; process_registry: ends a session leader and its descendants
kafka, postgres   one Kafka node, one PostgreSQL; airflow, monitoring: Airflow, Prometheus and Alertmanager
service           one supervised process; services: all of them and their order; supervisor: runs them
stack             `make up`, `status` and `down`; stack_state: its ports, keys and passwords

Laws:

1. A server listens on the loopback alone and keeps everything in the directory that it was given.
2. `start` returns when a client gets an answer, or raises `Unavailable` within a bounded time and quotes the
   end of the log.
3. Only processes started here are ever signalled, by their own id. They end when this process does, unless it
   is killed itself.
4. A port stays the same over stop, kill and restart, so that clients find the server again.

Not handled: more than one broker, TLS, passwords. Every process that can connect to the loopback is trusted: these
servers are for one developer's machine; for production see `deploy/`.
"""

from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.postgres import PostgresServer

__all__ = ["KafkaServer", "PostgresServer"]
