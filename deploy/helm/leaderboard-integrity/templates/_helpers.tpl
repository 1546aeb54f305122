{{- define "integrity.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 47 characters, so that the longest suffix fits into 63. */ -}}
{{- define "integrity.fullname" -}}
{{- $name := include "integrity.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 47 | trimSuffix "-" -}}
{{- end -}}

{{- define "integrity.selector" -}}
app.kubernetes.io/name: {{ include "integrity.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "integrity.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "integrity.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* Metadata of an object. Arguments: root, suffix of the name ("" for none), component ("" for none). */ -}}
{{- define "integrity.metadata" -}}
name: {{ include "integrity.fullname" .root }}{{ if .suffix }}-{{ .suffix }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "integrity.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end -}}

{{- define "integrity.image" -}}
{{- $tag := printf ":%s" (.Values.image.tag | default .Chart.AppVersion) -}}
{{- .Values.image.repository }}{{ .Values.image.digest | empty | ternary $tag (printf "@%s" .Values.image.digest) -}}
{{- end -}}

{{- define "integrity.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "integrity.fullname" .) "default") -}}
{{- end -}}

{{- define "integrity.group" -}}
{{- .Values.kafka.group | default (printf "integrity-%s-%s" .Release.Namespace .Release.Name) -}}
{{- end -}}

{{- define "integrity.source" -}}
kafka://{{ join "," .Values.kafka.brokers }}
{{- end -}}

{{- define "integrity.usesSasl" -}}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{- define "integrity.usesTls" -}}
{{- if hasSuffix "SSL" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{- /* What a component is given. Kafka: its brokers. Store: the role of its store URL, "" for no store. */ -}}
{{- define "integrity.store" -}}
{{- if has .component (list "worker" "monitor") }}ingest
{{- else if has .component (list "migrations" "archive") }}migrate
{{- else if eq .component "api" }}{{ .root.Values.api.role }}
{{- else if eq .component "exporter" }}read
{{- end -}}
{{- end -}}

{{- define "integrity.usesKafka" -}}
{{- if has .component (list "worker" "topics") }}true{{ end -}}
{{- end -}}

{{- /* The exporter too, in which `integrity doctor` is run: it looks whether the files are there. */ -}}
{{- define "integrity.usesArchive" -}}
{{- if and .root.Values.archive.existingClaim (has .component (list "worker" "monitor" "api" "exporter" "migrations" "archive")) }}true{{ end -}}
{{- end -}}

{{- /* The role `read` of API and exporter may not read what the key decrypts. */ -}}
{{- define "integrity.usesArchiveKey" -}}
{{- if and (include "integrity.usesArchive" .) (ne (include "integrity.store" .) "read") }}true{{ end -}}
{{- end -}}

{{- /* All environment variables of a component. No secret is among them: those are files in /run/secrets. */ -}}
{{- define "integrity.env" -}}
{{- $values := .root.Values -}}
{{- $env := dict -}}
{{- range $name, $value := $values.settings -}}
{{- $_ := set $env $name $value -}}
{{- end -}}
{{- range $topic, $name := $values.kafka.topics -}}
{{- $_ := set $env (printf "topic_%s" $topic) $name -}}
{{- end -}}
{{- if include "integrity.usesKafka" . -}}
{{- $_ := set $env "group" (include "integrity.group" .root) -}}
{{- $_ := set $env "partitions" $values.kafka.partitions -}}
{{- $_ := set $env "kafka_security_protocol" $values.kafka.securityProtocol -}}
{{- with $values.kafka.saslMechanism }}{{ $_ := set $env "kafka_sasl_mechanism" . }}{{ end -}}
{{- with $values.kafka.saslUsername }}{{ $_ := set $env "kafka_sasl_plain_username" . }}{{ end -}}
{{- if $values.kafka.ca.secret }}{{ $_ := set $env "kafka_ssl_cafile" "/etc/integrity/kafka/ca.crt" }}{{ end -}}
{{- if $values.kafka.clientCertificate.secret -}}
{{- $_ := set $env "kafka_ssl_certfile" "/etc/integrity/kafka/tls.crt" -}}
{{- $_ := set $env "kafka_ssl_keyfile" "/etc/integrity/kafka/tls.key" -}}
{{- end -}}
{{- end -}}
{{- if include "integrity.store" . -}}
{{- with $values.database.sslMode }}{{ $_ := set $env "postgres_sslmode" . }}{{ end -}}
{{- if $values.database.ca.secret }}{{ $_ := set $env "postgres_sslrootcert" "/etc/integrity/postgres/ca.crt" }}{{ end -}}
{{- if $values.database.clientCertificate.secret -}}
{{- $_ := set $env "postgres_sslcert" "/etc/integrity/postgres/tls.crt" -}}
{{- $_ := set $env "postgres_sslkey" "/etc/integrity/postgres/tls.key" -}}
{{- end -}}
{{- end -}}
{{- if eq .component "api" -}}
{{- with $values.api.externalUrl }}{{ $_ := set $env "external_url" . }}{{ end -}}
{{- with $values.api.trustedProxies }}{{ $_ := set $env "trusted_proxies" . }}{{ end -}}
{{- if $values.ledger.existingClaim }}{{ $_ := set $env "ledger" "/var/lib/integrity/ledger" }}{{ end -}}
{{- end -}}
{{- if include "integrity.usesArchive" . }}{{ $_ := set $env "archive" "/var/lib/integrity/archive" }}{{ end -}}
{{- range $name, $value := $env }}
- name: INTEGRITY_{{ upper $name }}
  {{- /* Numbers of a values file are floating-point numbers, which `toString` would print as 1e+06. */}}
  value: {{ (kindIs "float64" $value | ternary ($value | toJson) ($value | toString)) | quote }}
{{- end }}
{{- end -}}

{{- /* The secret settings of a component: name of the setting → {secret, key}, as JSON. */ -}}
{{- define "integrity.secretSettings" -}}
{{- $given := dict -}}
{{- $role := include "integrity.store" . -}}
{{- $names := list -}}
{{- if $role -}}
{{- $_ := set $given "store" (get .root.Values.database.stores $role) -}}
{{- $names = concat $names (list "postgres_password" "postgres_sslpassword") -}}
{{- end -}}
{{- if has .component (list "worker" "monitor" "migrations") }}{{ $names = append $names "voter_key" }}{{ end -}}
{{- if eq .component "worker" }}{{ $names = append $names "publishers" }}{{ end -}}
{{- if include "integrity.usesArchiveKey" . }}{{ $names = append $names "archive_key" }}{{ end -}}
{{- if include "integrity.usesKafka" . }}{{ $names = concat $names (list "kafka_sasl_plain_password" "kafka_ssl_password") }}{{ end -}}
{{- range $names -}}
{{- $one := get $.root.Values.secrets . -}}
{{- if $one.secret }}{{ $_ := set $given . $one }}{{ end -}}
{{- end -}}
{{- toJson $given -}}
{{- end -}}

{{- /* A projected volume of certificates. Arguments: name, ca, clientCertificate. */ -}}
{{- define "integrity.certificates" -}}
- name: {{ .name }}
  projected:
    defaultMode: 0440
    sources:
      {{- with .ca.secret }}
      - secret: { name: {{ . }}, items: [{ key: {{ $.ca.key }}, path: ca.crt }] }
      {{- end }}
      {{- with .clientCertificate.secret }}
      - secret:
          name: {{ . }}
          items:
            - { key: {{ $.clientCertificate.certKey }}, path: tls.crt }
            - { key: {{ $.clientCertificate.keyKey }}, path: tls.key }
      {{- end }}
{{- end -}}

{{- /*
The specification of a pod. Arguments: root, component, args, resources; ports (name → number), probes (as YAML),
graceSeconds, restartPolicy.
*/ -}}
{{- define "integrity.pod" -}}
{{- $values := .root.Values -}}
{{- $secrets := include "integrity.secretSettings" . | fromJson -}}
{{- $kafkaFiles := and (include "integrity.usesKafka" .) (or $values.kafka.ca.secret $values.kafka.clientCertificate.secret) -}}
{{- $storeFiles := and (include "integrity.store" .) (or $values.database.ca.secret $values.database.clientCertificate.secret) -}}
{{- $ledger := and (eq .component "api") $values.ledger.existingClaim -}}
{{- $archive := include "integrity.usesArchive" . -}}
metadata:
  labels:
    {{- include "integrity.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "integrity.serviceAccount" .root }}{{ if and .hook $values.serviceAccount.create }}-hooks{{ end }}
  # No process talks to Kubernetes. A token would be mounted below /run/secrets, where the secret settings are.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .graceSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with $values.scheduling.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.scheduling.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.scheduling.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.scheduling.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and (not .hook) $values.scheduling.topologyKeys }}
  topologySpreadConstraints:
    {{- range $values.scheduling.topologyKeys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "integrity.selector" $.root | nindent 10 }}
          app.kubernetes.io/component: {{ $.component }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "integrity.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: [integrity]
      args: {{ toJson .args }}
      env:
        {{- include "integrity.env" . | trim | nindent 8 }}
      {{- with .ports }}
      ports:
        {{- range $name, $port := . }}
        - { name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP }
        {{- end }}
      {{- end }}
      {{- with .probes }}
      {{- . | nindent 6 }}
      {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        privileged: false
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        {{- if $secrets }}
        - { name: secrets, mountPath: /run/secrets, readOnly: true }
        {{- end }}
        {{- if $kafkaFiles }}
        - { name: kafka-certificates, mountPath: /etc/integrity/kafka, readOnly: true }
        {{- end }}
        {{- if $storeFiles }}
        - { name: postgres-certificates, mountPath: /etc/integrity/postgres, readOnly: true }
        {{- end }}
        {{- if $ledger }}
        - name: ledger
          mountPath: /var/lib/integrity/ledger
          readOnly: true
          {{- with $values.ledger.subPath }}
          subPath: {{ . }}
          {{- end }}
        {{- end }}
        {{- if $archive }}
        - name: archive
          mountPath: /var/lib/integrity/archive
          {{- if ne .component "archive" }}
          readOnly: true
          {{- end }}
          {{- with $values.archive.subPath }}
          subPath: {{ . }}
          {{- end }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if $secrets }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- range $name, $one := $secrets }}
          - secret: { name: {{ $one.secret }}, items: [{ key: {{ $one.key }}, path: integrity_{{ $name }} }] }
          {{- end }}
    {{- end }}
    {{- if $kafkaFiles }}
    {{- include "integrity.certificates" (dict "name" "kafka-certificates" "ca" $values.kafka.ca "clientCertificate" $values.kafka.clientCertificate) | nindent 4 }}
    {{- end }}
    {{- if $storeFiles }}
    {{- include "integrity.certificates" (dict "name" "postgres-certificates" "ca" $values.database.ca "clientCertificate" $values.database.clientCertificate) | nindent 4 }}
    {{- end }}
    {{- if $ledger }}
    - name: ledger
      persistentVolumeClaim: { claimName: {{ $values.ledger.existingClaim }}, readOnly: true }
    {{- end }}
    {{- if $archive }}
    - name: archive
      persistentVolumeClaim: { claimName: {{ $values.archive.existingClaim }}{{ if ne .component "archive" }}, readOnly: true{{ end }} }
    {{- end }}
{{- end -}}

{{- /* A probe by HTTP. Arguments: path, port, period, failures. */ -}}
{{- define "integrity.probe" -}}
httpGet: { path: {{ .path }}, port: {{ .port }} }
periodSeconds: {{ .period }}
timeoutSeconds: 5
failureThreshold: {{ .failures }}
{{- end -}}

{{- define "integrity.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "integrity.metadata" (dict "root" .root "suffix" .component "component" .component) | nindent 2 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  selector:
    matchLabels:
      {{- include "integrity.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end -}}
