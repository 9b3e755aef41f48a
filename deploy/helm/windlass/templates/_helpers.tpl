{{- define "windlass.selector" -}}
app.kubernetes.io/name: windlass
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "windlass.labels" -}}
{{ include "windlass.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "windlass.config" -}}
apiVersion: windlass.dev/v1alpha1
kind: WindlassConfiguration
rootDir: {{ .Values.rootDir }}
runtime:
  kind: {{ .Values.runtime.kind }}
  endpoint: {{ .Values.runtime.endpoint }}
metrics:
  bindAddress: 0.0.0.0:{{ .Values.metrics.port }}
prepull:
  listDir: /etc/windlass/lists
  {{- if .Values.pullSecrets }}
  secretsDir: /etc/windlass/secrets
  {{- end }}
  {{- with .Values.config.prepull }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with omit .Values.config "prepull" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Whether the cluster is told of image lists: then, and only then, there is a token, and rights. */ -}}
{{- define "windlass.told" -}}
{{- with .Values.config.prepull }}
{{- if .kubernetes -}}
true
{{- end }}
{{- end }}
{{- end }}

{{- /* Of what is the whole cluster's, where other releases may have this one's name. */ -}}
{{- define "windlass.fullName" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}
{{- end }}
