{{- /* The name of the plugin. The admission policy and `sa-authn check` find the filter by `sa-authn` in it. */ -}}
{{- define "sa-authn.name" -}}
{{- if contains "sa-authn" .Release.Name }}{{ .Release.Name }}{{ else }}sa-authn-{{ .Release.Name }}{{ end -}}
{{- end }}

{{- define "sa-authn.labels" -}}
app.kubernetes.io/name: sa-authn
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sa-authn.url" -}}
{{- with .Values.image -}}
{{- if not (contains "://" .repository) }}oci://{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The proxies that run the filter: a selector for sidecars, the Gateway for all others. */ -}}
{{- define "sa-authn.target" -}}
{{- if eq .Values.proxy "sidecar" -}}
selector:
  {{- if not .Values.selector }}{{ fail "selector: the labels of the pods are required" }}{{ end }}
  matchLabels: {{- toYaml .Values.selector | nindent 4 }}
{{- else -}}
targetRefs:
- group: gateway.networking.k8s.io
  kind: Gateway
  name: {{ required "gateway: the name of the Gateway is required" .Values.gateway }}
{{- end }}
{{- end }}

{{- define "sa-authn.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if not (hasKey $config "issuers") }}
{{- if not .Values.audiences }}{{ fail "audiences: list the audience that the callers request, for example [secret-store]" }}{{ end }}
{{- $issuer := dict "name" "local" "issuer" .Values.issuer "audiences" .Values.audiences }}
{{- $replaced := eq (dig "use" "" .Values.tokenReview) "instead" }}
{{- if not $replaced }}{{ $_ := set $issuer "keys" .Values.keys }}{{ end }}
{{- with .Values.tokenReview }}{{ $_ := set $issuer "tokenReview" . }}{{ end }}
{{- $_ := set $config "issuers" (list $issuer) }}
{{- end }}
{{- if not (hasKey $config "rules") }}
{{- if not .Values.rules }}{{ fail "rules: list who may send which request" }}{{ end }}
{{- $_ := set $config "rules" .Values.rules }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- /* What WasmPlugin has in `spec`, and TrafficExtension in `spec.wasm`. */ -}}
{{- define "sa-authn.wasm" -}}
url: {{ include "sa-authn.url" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.image.pullSecret }}
imagePullSecret: {{ . }}
{{- end }}
failStrategy: {{ .Values.failStrategy }}
pluginName: sa-authn
pluginConfig: {{- include "sa-authn.config" . | nindent 2 }}
{{- end }}

{{- define "sa-authn.serviceAccounts" -}}
{{- range .Values.rbac.serviceAccounts }}
- kind: ServiceAccount
  name: {{ . }}
  namespace: {{ $.Release.Namespace }}
{{- else }}
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: system:serviceaccounts:{{ .Release.Namespace }}
{{- end }}
{{- end }}
