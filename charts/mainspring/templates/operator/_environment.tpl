{{- /* The environment that `mainspring.plan.common.settings` reads. Called with the root. */ -}}
{{- define "mainspring.operator.environment" -}}
- name: MAINSPRING_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- range $name, $value := include "mainspring.operator.variables" . | fromJson }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mainspring.operator.variables" -}}
{{- $store := include "mainspring.store.name" . -}}
{{- $variables := dict
    "MAINSPRING_RELEASE" .Release.Name
    "MAINSPRING_RUNTIME_IMAGE" (include "mainspring.image" (dict "image" .Values.image.runtime "root" .))
    "MAINSPRING_JOBS_IMAGE" (include "mainspring.image" (dict "image" .Values.image.jobs "root" .))
    "MAINSPRING_WATCH_NAMESPACES" (join "," .Values.watch.namespaces)
    "MAINSPRING_ARTIFACTS_URI" .Values.artifacts.uri
    "MAINSPRING_IMAGE_PULL_POLICY" .Values.imagePullPolicy
    "MAINSPRING_IMAGE_PULL_SECRETS" (join "," .Values.imagePullSecrets)
    "MAINSPRING_CA_BUNDLE" .Values.caBundle
    "MAINSPRING_PRIORITY_CLASS" .Values.priorityClassName
    "MAINSPRING_MONITORING_NAMESPACES" (join "," .Values.monitoring.namespaces)
    "MAINSPRING_SCRAPE_ANNOTATIONS" (empty (include "mainspring.podMonitors.on" .) | ternary "true" "")
    "MAINSPRING_OUTGOING_HOSTS" (join "," .Values.outgoing.hosts)
    "MAINSPRING_LOG_LEVEL" .Values.operator.logLevel -}}
{{- with merge (dict) .Values.podEnv (include "mainspring.proxy" . | fromJson) -}}
{{- $_ := set $variables "MAINSPRING_POD_ENV" (toJson .) -}}
{{- end -}}
{{- with .Values.workloads.serviceAccountAnnotations -}}
{{- $_ := set $variables "MAINSPRING_SERVICE_ACCOUNT_ANNOTATIONS" (toJson .) -}}
{{- end -}}
{{- if include "mainspring.store.enabled" . -}}
{{- $_ := set $variables "MAINSPRING_STORE_ENDPOINT" (printf "http://%s.%s.svc:7070" $store .Release.Namespace) -}}
{{- $_ := set $variables "MAINSPRING_STORE_ADMIN_ENDPOINT" (printf "http://%s.%s.svc:7071" $store .Release.Namespace) -}}
{{- $_ := set $variables "MAINSPRING_STORE_ROOT_SECRET" (include "mainspring.store.rootSecret" .) -}}
{{- end -}}
{{- toJson $variables -}}
{{- end -}}

{{- /* Programs read one spelling or the other. The API server is reached by its address, which kubelet fills in. */ -}}
{{- define "mainspring.proxy" -}}
{{- $proxy := dict -}}
{{- if or .Values.proxy.http .Values.proxy.https -}}
{{- $direct := list "localhost" "127.0.0.1" ".svc" ".cluster.local" "$(KUBERNETES_SERVICE_HOST)" -}}
{{- with .Values.proxy.no -}}{{- $direct = append $direct . -}}{{- end -}}
{{- range $name, $value := dict "http_proxy" .Values.proxy.http "https_proxy" .Values.proxy.https "no_proxy" (join "," $direct) -}}
{{- if $value -}}
{{- $_ := set $proxy $name $value -}}
{{- $_ := set $proxy (upper $name) $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $proxy -}}
{{- end -}}
