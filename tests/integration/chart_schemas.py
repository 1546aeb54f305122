"""JSON Schemas of the custom resources that the chart renders, written here from the public documentation.

A schema has only the fields that the chart uses. Each level is closed, so that a field with another name is refused.
A comment names the page that an object follows: its API version, kind and, if it has any, its version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION: Schema = {
    "type": "string",
    "pattern": "^(?=[0-9])" + "".join(f"([0-9]+{unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms")) + "$",
}
"""Numbers with units, from the longest unit to the shortest: "5s", "1h30m"."""


def whole(least: int, most: int = 2**31 - 1) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def fields(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these fields and no other."""
    known = required | (optional or {})
    return {"type": "object", "properties": known, "required": list(required), "additionalProperties": False}


def resource(api_version: str, kind: str, spec: Schema) -> Schema:
    metadata = fields({"name": TEXT, "namespace": TEXT, "labels": TEXTS})
    named = {"apiVersion": {"const": api_version}, "kind": {"const": kind}}
    return fields({**named, "metadata": metadata, "spec": spec})


# "HorizontalPodAutoscaler autoscaling/v2" of the API reference of Kubernetes: HPAScalingRules. KEDA passes them on.
SCALING_RULES = fields(
    {},
    {
        "stabilizationWindowSeconds": whole(0, 3600),
        "policies": listed(
            fields({"type": one_of("Pods", "Percent"), "value": whole(1), "periodSeconds": whole(1, 1800)})
        ),
    },
)

# "Apache Kafka" of KEDA's scalers, 2.17: every value is text, and brokers and group are required. The chart always
# names the topic, since KEDA would otherwise count all topics of the group.
KAFKA = fields(
    {"bootstrapServers": TEXT, "consumerGroup": TEXT, "topic": TEXT},
    {
        "lagThreshold": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "offsetResetPolicy": one_of("latest", "earliest"),
        "allowIdleConsumers": one_of("true", "false"),
        "version": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+){2}$"},
        "tls": one_of("enable", "disable"),
        "sasl": one_of("none", "plaintext", "scram_sha256", "scram_sha512", "gssapi", "oauthbearer"),
    },
)

# "ScaledObject specification" of KEDA's reference, 2.17: keda.sh/v1alpha1, ScaledObject.
SCALED_OBJECT = resource(
    "keda.sh/v1alpha1",
    "ScaledObject",
    fields(
        {
            "scaleTargetRef": fields(
                {"name": TEXT},
                {"apiVersion": {"const": "apps/v1"}, "kind": {"const": "Deployment"}, "envSourceContainerName": TEXT},
            ),
            "triggers": listed(
                fields(
                    {"type": {"const": "kafka"}, "metadata": KAFKA},
                    {"metricType": one_of("AverageValue", "Value"), "authenticationRef": fields({"name": TEXT})},
                )
            ),
        },
        {
            "minReplicaCount": whole(0),
            "maxReplicaCount": whole(1),
            "pollingInterval": whole(1),
            "fallback": fields(
                {"failureThreshold": whole(0), "replicas": whole(0)},
                {"behavior": one_of("static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower")},
            ),
            "advanced": fields(
                {},
                {
                    "horizontalPodAutoscalerConfig": fields(
                        {}, {"behavior": fields({}, {"scaleUp": SCALING_RULES, "scaleDown": SCALING_RULES})}
                    )
                },
            ),
        },
    ),
)

# "Authentication" of KEDA's concepts, 2.17: keda.sh/v1alpha1, TriggerAuthentication. The parameters are those of the
# page "Apache Kafka".
PARAMETER = one_of("username", "password", "ca", "cert", "key", "keyPassword")
TRIGGER_AUTHENTICATION = resource(
    "keda.sh/v1alpha1",
    "TriggerAuthentication",
    fields(
        {},
        {
            "env": listed(fields({"parameter": PARAMETER, "name": TEXT}, {"containerName": TEXT})),
            "secretTargetRef": listed(fields({"parameter": PARAMETER, "name": TEXT, "key": TEXT})),
        },
    ),
)

# "API reference" of the Prometheus operator: monitoring.coreos.com/v1, PodMonitor. Without endpoints nothing would be
# scraped, so they are required here.
POD_MONITOR = resource(
    "monitoring.coreos.com/v1",
    "PodMonitor",
    fields(
        {
            "selector": fields({"matchLabels": TEXTS}),
            "podMetricsEndpoints": listed(
                fields(
                    {"port": TEXT},
                    {
                        "path": {"type": "string", "pattern": "^/"},
                        "interval": DURATION,
                        "scrapeTimeout": DURATION,
                        "relabelings": listed(
                            fields(
                                {"targetLabel": TEXT, "replacement": {"type": "string"}},
                                {"action": {"const": "replace"}},
                            )
                        ),
                    },
                )
            ),
        }
    ),
)

# "API reference" of the Prometheus operator: monitoring.coreos.com/v1, PrometheusRule. A rule is an alert or a record,
# and only an alert has the other fields ("Alerting rules" and "Recording rules" of Prometheus).
ALERT_FIELDS: dict[str, Schema] = {"for": DURATION, "keep_firing_for": DURATION, "annotations": TEXTS}
RULE = fields({"expr": TEXT}, {"alert": TEXT, "record": TEXT, "labels": TEXTS, **ALERT_FIELDS}) | {
    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
    "dependentRequired": {name: ["alert"] for name in ALERT_FIELDS},
}
PROMETHEUS_RULE = resource(
    "monitoring.coreos.com/v1",
    "PrometheusRule",
    fields({"groups": listed(fields({"name": TEXT, "rules": listed(RULE)}))}),
)

SCHEMAS: dict[str, Schema] = {
    schema["properties"]["kind"]["const"]: schema
    for schema in (SCALED_OBJECT, TRIGGER_AUTHENTICATION, POD_MONITOR, PROMETHEUS_RULE)
}
"""Kind → schema."""


def used_fields(value: Any, path: str = "") -> set[str]:
    """The paths of all fields of an object; an item of a list adds nothing to its path."""
    if isinstance(value, list):
        return set().union(*(used_fields(one, path) for one in value))
    if not isinstance(value, dict):
        return set()
    return {f"{path}.{name}" for name in value}.union(*(used_fields(one, f"{path}.{n}") for n, one in value.items()))


def known_fields(schema: dict[str, Any], path: str = "") -> set[str]:
    """The paths of all fields that a schema names, written as those of `used_fields`."""
    below = known_fields(schema["items"], path) if "items" in schema else set()
    for name, one in schema.get("properties", {}).items():
        below |= {f"{path}.{name}"} | known_fields(one, f"{path}.{name}")
    return below


def faulty(whole: Any, part: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each place of `whole`, and `whole` with a fault there: an unknown field, or a value of another type."""
    for name in list(part) if isinstance(part, dict) else range(len(part)):
        here, value = f"{place}.{name}", part[name]
        if isinstance(value, dict | list):
            yield from faulty(whole, value, here)
        part[name] = {"of": ["another", "type"]}
        yield here, whole
        part[name] = value
    if isinstance(part, dict):
        part["unknown"] = True
        yield f"{place}.unknown", whole
        del part["unknown"]
