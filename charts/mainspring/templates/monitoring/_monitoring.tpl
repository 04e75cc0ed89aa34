{{- /* Whether to make something for a Prometheus that an operator runs. Called with the value and the root. */ -}}
{{- define "mainspring.monitoring.on" -}}
{{- if or (eq .enabled "Always") (and (eq .enabled "Auto") (.root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) -}}
true
{{- end -}}
{{- end -}}

{{- define "mainspring.podMonitors.on" -}}
{{ include "mainspring.monitoring.on" (dict "enabled" .Values.monitoring.podMonitors.enabled "root" .) }}
{{- end -}}

{{- /* Metadata of an object for a monitoring system. Called with its name, its values and the root. */ -}}
{{- define "mainspring.monitoring.metadata" -}}
name: {{ include "mainspring.fullname" .root }}-{{ .name }}
namespace: {{ .values.namespace | default .root.Release.Namespace }}
labels:
  {{- include "mainspring.labels" .root | nindent 2 }}
  {{- with .values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
