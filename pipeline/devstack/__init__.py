"""Runs real servers as child processes for tests and benchmarks, and the local stack of `make up`.

    process           LocalServer: starts, stops, pauses and kills one server
    kafka, postgres   Kafka and PostgreSQL
    secured_kafka     Kafka with TLS, logins and ACLs
    certificates      a certificate authority for tests
    monitoring        Prometheus and Alertmanager
    airflow           Airflow's three processes
    service           one process of the stack under the supervisor
    services          every service of the stack
    stack             `make up`, `make status`, `make down`
    stack_state       ports and secrets of the stack
    supervisor        the configuration of supervisord, and commands to it
    process_registry  ends every process of a stack

Rules that every server keeps:

1. A server listens on the loopback interface only, and writes all its files to its own directory.
2. `start` returns when the server answers a client. If it does not answer in time, `start` raises `Unavailable` with
   the last lines of the log.
3. Signals are sent only to processes that were started here, by their process id. The servers end when the process that
   started them exits, unless that process is killed.
4. The port of a server stays the same over stop, kill and restart, so that clients find the server again.

Not handled: more than one broker. The stack uses neither TLS nor passwords, and trusts every process that can connect
to the loopback interface. These servers are for development; for production use `deploy/`.
"""

from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.postgres import PostgresServer

__all__ = ["KafkaServer", "PostgresServer"]
