"""Real servers as child processes for tests and benchmarks, and the local stack of `make up`.

    process           LocalServer: starts, stops, pauses and kills one server
    kafka, postgres   Kafka and PostgreSQL
    secured_kafka     Kafka with TLS, logins and ACLs
    certificates      a certificate authority of its own
    monitoring        Prometheus and Alertmanager
    airflow           Airflow's three processes
    service           one process of the stack under the supervisor
    services          every service of the stack
    stack             `make up`, `make status`, `make down`
    stack_state       ports and secrets of the stack
    supervisor        the configuration of supervisord, and commands to it
    process_registry  ends every process of a stack

Laws:

1. A server listens on the loopback only and keeps everything in its directory.
2. `start` returns when a client gets an answer, or raises `Unavailable` within a bounded time and quotes the end of the
   log.
3. Only processes started here are signalled, by their id. They end with this process, unless it is killed.
4. A port stays the same over stop, kill and restart, so that clients find the server again.

Not handled: more than one broker. The stack uses neither TLS nor passwords, and trusts every process that can connect
to the loopback: these servers are for development; production has `deploy/`.
"""

from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.postgres import PostgresServer

__all__ = ["KafkaServer", "PostgresServer"]
