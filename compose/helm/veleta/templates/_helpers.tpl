{{/* The parts, as parts.yaml has them. */}}
{{- define "veleta.parts" -}}
{{- .Files.Get "parts.yaml" -}}
{{- end }}

{{/* The services that run: without source if the rows come from an external data API. */}}
{{- define "veleta.services" -}}
{{- $services := (include "veleta.parts" . | fromYaml).services }}
{{- if .Values.dataApi.url }}{{- $services = omit $services "source" }}{{- end }}
{{- toYaml $services }}
{{- end }}

{{/* The base URL of each service, for the monitor: JSON. That of inference has also pods that are not ready. */}}
{{- define "veleta.readyz" -}}
{{- $urls := dict }}
{{- range $name, $part := include "veleta.services" . | fromYaml }}
{{- if ne $name "monitor" }}
{{- $host := printf "%s-%s%s" $.Release.Name $name (eq $name "inference" | ternary "-pods" "") }}
{{- $_ := set $urls $name (printf "http://%s:%v" $host $part.port) }}
{{- end }}
{{- end }}
{{- toJson $urls }}
{{- end }}

{{/* [root, part]: the labels by which a part is selected. */}}
{{- define "veleta.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* [root, part]: all labels of a part. */}}
{{- define "veleta.labels" -}}
{{- $root := index . 0 -}}
{{ include "veleta.selector" . }}
app.kubernetes.io/part-of: {{ $root.Chart.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* What all pods have in common. */}}
{{- define "veleta.pod" -}}
automountServiceAccountToken: false
# The addresses of other Services in the environment would be settings with unknown names, which stop a service.
enableServiceLinks: false
# The first process of the pod is then one that reaps the others, as with `init: true` of docker compose.
shareProcessNamespace: true
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.images.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- end }}

{{/* [root, image, part]: what all containers have in common. The part has environment, memory and cpus. */}}
{{- define "veleta.container" -}}
{{- $root := index . 0 -}}
{{- $part := index . 2 -}}
image: {{ printf "%s/%s:%s" $root.Values.images.repository (index . 1) ($root.Values.images.tag | default $root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ $root.Values.images.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
resources:
  limits: {memory: {{ $part.memory }}, cpu: {{ $part.cpus }}}
  requests: {memory: {{ $part.memory }}, cpu: 100m}
env:
  {{- range $name, $value := $part.environment }}
  - {name: {{ $name }}, value: {{ tpl (toString $value) $root | quote }}}
  {{- end }}
  {{- range $name, $key := $part.passwords }}
  - name: {{ $name }}
    valueFrom: {secretKeyRef: {name: {{ $root.Values.secret }}, key: {{ $key }}, optional: true}}
  {{- end }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if $part.secrets }}
  - {name: secrets, mountPath: /run/secrets, readOnly: true}
  {{- end }}
  {{- if $part.data }}
  # Not the root of the volume: file systems have a folder lost+found there.
  - {name: {{ $part.data }}, mountPath: /data, subPath: data}
  {{- end }}
  {{- if $root.Values.datasetConfigMap }}
  - {name: dataset, mountPath: /own, readOnly: true}
  {{- end }}
{{- end }}

{{/* [root, part]: the volumes of a pod without that of its data. */}}
{{- define "veleta.volumes" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
- name: tmp
  emptyDir: {}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ $root.Values.secret }}
          items:
            {{- range $file, $key := $part.secrets }}
            {{- if not (and $root.Values.dataApi.url (eq $key "source_token")) }}
            - {key: {{ $key }}, path: {{ $file }}}
            {{- end }}
            {{- end }}
      {{- with $part.optional }}
      - secret:
          name: {{ $root.Values.secret }}
          optional: true
          items:
            {{- range $file, $key := . }}
            - {key: {{ $key }}, path: {{ $file }}}
            {{- end }}
      {{- end }}
{{- with $root.Values.datasetConfigMap }}
- name: dataset
  configMap: {name: {{ . }}}
{{- end }}
{{- end }}

{{/* [root, part]: the spec of a service's pod. */}}
{{- define "veleta.template" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $part := index . 2 -}}
metadata:
  labels: {{- include "veleta.labels" (list $root $name) | nindent 4 }}
spec:
  {{- include "veleta.pod" $root | nindent 2 }}
  # A service ends within 25 s, whatever hangs; inference begins after its preStop.
  terminationGracePeriodSeconds: {{ eq $name "inference" | ternary 40 30 }}
  containers:
    - name: {{ $name }}
      {{- include "veleta.container" (list $root $name $part) | nindent 6 }}
      ports:
        - {name: http, containerPort: {{ $part.port }}}
      startupProbe:
        httpGet: {path: {{ $part.live | default "/livez" }}, port: http}
        periodSeconds: 5
        timeoutSeconds: 10
        failureThreshold: 24
      livenessProbe:
        httpGet: {path: {{ $part.live | default "/livez" }}, port: http}
        periodSeconds: 15
        timeoutSeconds: 10
      readinessProbe:
        httpGet: {path: {{ $part.ready | default "/readyz" }}, port: http}
        periodSeconds: 5
        timeoutSeconds: 10
      {{- if eq $name "inference" }}
      lifecycle:
        # Meanwhile the pod leaves the endpoints of its Service, so no new request comes after SIGTERM.
        preStop: {exec: {command: [sleep, "10"]}}
      {{- end }}
  volumes:
    {{- include "veleta.volumes" (list $root $part) | nindent 4 }}
    {{- if and $part.data (ne $name "inference") }}
    - name: {{ $part.data }}
      persistentVolumeClaim: {claimName: {{ $root.Release.Name }}-{{ $part.data }}}
    {{- end }}
{{- end }}

{{/* [root, size]: the spec of a claim. */}}
{{- define "veleta.claim" -}}
{{- $root := index . 0 -}}
accessModes: [ReadWriteOnce]
{{- with $root.Values.storage.class }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ index $root.Values.storage (index . 1) }}}}
{{- end }}

{{/* The port of an address, as a number: 19092 of kafka:19092, 443 of https://mlflow.example.com. */}}
{{- define "veleta.port" -}}
{{- if regexMatch ":[0-9]+" . -}}
{{- regexFind ":[0-9]+" . | trimPrefix ":" -}}
{{- else -}}
{{- hasPrefix "https:" . | ternary 443 80 -}}
{{- end -}}
{{- end }}
