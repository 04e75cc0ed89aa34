{{- define "mainspring.fullname" -}}
{{- if contains "mainspring" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-mainspring" (.Release.Name | trunc 39 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "mainspring.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: mainspring
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: mainspring
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* Labels that never change: a Deployment's selector cannot. Called with the component and the root. */ -}}
{{- define "mainspring.selector" -}}
app.kubernetes.io/name: mainspring
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* The full reference of an image. Called with the image and the root. */ -}}
{{- define "mainspring.image" -}}
{{- with .root.Values.imageRegistry -}}{{ trimSuffix "/" . }}/{{- end -}}
{{- .image.repository -}}
{{- if .image.digest -}}
@{{ .image.digest }}
{{- else -}}
:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "mainspring.store.enabled" -}}
{{- if not .Values.artifacts.uri -}}
{{- if not .Values.store.enabled -}}
{{- fail "store.enabled is false: set artifacts.uri to the object store to use instead" -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

{{- define "mainspring.store.name" -}}
{{ include "mainspring.fullname" . }}-store
{{- end -}}

{{- /* The operator makes this Secret when it is missing; a template must not, as it would have to be random. */ -}}
{{- define "mainspring.store.rootSecret" -}}
{{ include "mainspring.fullname" . }}-store
{{- end -}}
