#!/usr/bin/env bash
# Access rules of the topics, for a broker with an authorizer (authorizer.class.name, allow.everyone.if.no.acl.found=false).
# Who may write to the votes topic decides what the board counts: publishers write votes and nothing else, workers read
# votes and write alerts and rejects, nobody deletes. Running it again changes nothing.
#
#   BOOTSTRAP=broker:9093 CONFIG=admin.properties deploy/kafka/acls.sh
#
# PUBLISHER, WORKER and READER are principals (User:NAME, or User:CN=… of a client certificate). The topics are those of
# INTEGRITY_TOPIC_…, the group is INTEGRITY_GROUP; without it a worker's group is integrity-STORE_ID.
set -eu

BOOTSTRAP=${BOOTSTRAP:?expected HOST:PORT of a broker}
KAFKA_ACLS=${KAFKA_ACLS:-kafka-acls.sh}
PUBLISHER=${PUBLISHER:-User:publisher} WORKER=${WORKER:-User:worker} READER=${READER:-User:reader}
VOTES=${VOTES:-arena.votes} REGISTRY=${REGISTRY:-arena.registry} BATTLES=${BATTLES:-arena.battles}
ALERTS=${ALERTS:-arena.alerts} REJECTED=${REJECTED:-arena.votes.rejected}
GROUP_PREFIX=${GROUP_PREFIX:-integrity-}

acl() {
  "$KAFKA_ACLS" --bootstrap-server "$BOOTSTRAP" ${CONFIG:+--command-config "$CONFIG"} --add "$@"
}

# A publisher: writes votes, registry events and issued battles, with an idempotent producer. CREATE only where it makes the topics.
for topic in "$VOTES" "$REGISTRY" "$BATTLES"; do
  acl --allow-principal "$PUBLISHER" --operation WRITE --operation DESCRIBE --operation CREATE --topic "$topic"
done
for topic in "$ALERTS" "$REJECTED"; do
  acl --allow-principal "$PUBLISHER" --operation DESCRIBE --operation CREATE --topic "$topic"
done
acl --allow-principal "$PUBLISHER" --operation IDEMPOTENTWRITE --cluster

# A worker: reads votes, registry events and issued battles in its group, writes alerts and rejects, and never a vote.
for topic in "$VOTES" "$REGISTRY" "$BATTLES"; do
  acl --allow-principal "$WORKER" --operation READ --operation DESCRIBE --topic "$topic"
done
for topic in "$ALERTS" "$REJECTED"; do
  acl --allow-principal "$WORKER" --operation WRITE --operation DESCRIBE --topic "$topic"
done
acl --allow-principal "$WORKER" --operation READ --group "$GROUP_PREFIX" --resource-pattern-type prefixed
acl --allow-principal "$WORKER" --operation IDEMPOTENTWRITE --operation DESCRIBE --cluster

# A reader of alerts and rejects, for example a pager or a producer that looks for its rejects. It sees labels, no voters.
for topic in "$ALERTS" "$REJECTED"; do
  acl --allow-principal "$READER" --operation READ --operation DESCRIBE --topic "$topic"
done
