"""Runs real servers as child processes for tests and benchmarks, and the local stack of `make up`.

    process           defines LocalServer, the base class of servers, whose methods start, stop, pause and kill a server
    kafka, postgres   run Kafka and PostgreSQL
    secured_kafka     runs Kafka with TLS, logins and ACLs
    certificates      issues TLS certificates for tests, as a certificate authority
    monitoring        runs Prometheus and Alertmanager
    slo_rules         generates the alert rules about error budgets from deploy/prometheus/slo.toml
    airflow           runs Airflow's three processes
    service           describes one process that the supervisor runs (Service)
    services          defines every service of the stack
    stack             carries out `make up`, `make status` and `make down`
    stack_state       keeps the ports and secrets of the stack
    supervisor        configures supervisord, and sends commands to supervisord
    process_registry  finds and ends all processes of a stack

Every server keeps these rules:

1. A server listens on the loopback interface only, and writes all its files to its own directory.
2. `start` returns when the server answers a client. If the server does not answer in time, `start` kills the server and
raises `Unavailable` with the last lines of the log.
3. Signals are sent only to processes that were started here, by their process id. The servers end when the process that
started them exits, unless that process is killed.
4. The port of a server stays the same over stop, kill and restart, so that clients find the server again.

Not handled: more than one broker. The stack uses neither TLS nor passwords, and trusts every process that can connect
to the loopback interface. These servers are for development; for production use `deploy/`.
"""

from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.postgres import PostgresServer

__all__ = ["KafkaServer", "PostgresServer"]
