{{/* The name of everything: the release's, with the chart's unless that is in it already. */}}
{{- define "workorder-operator.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "workorder-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "workorder-operator.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount that exists, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels by which the operator's Pods are found; they never change, as a Deployment's selector cannot. */}}
{{- define "workorder-operator.selector" -}}
app.kubernetes.io/name: workorder-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "workorder-operator.labels" -}}
{{ include "workorder-operator.selector" . }}
{{ include "workorder-operator.origin" . }}
{{- end -}}

{{/* Labels that say where an object is from; none of them makes a Pod one of the operator's. */}}
{{- define "workorder-operator.origin" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A reference to an image: of the chart (.root), with its repository, tag or digest (.image). */}}
{{- define "workorder-operator.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What the security level "restricted" asks of a Pod, and of a container. The images name a user; some clusters want one of their own. */}}
{{- define "workorder-operator.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "workorder-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Which namespaces a webhook or a policy is about: those whose orders are run. */}}
{{- define "workorder-operator.namespaceSelector" -}}
{{- if .Values.namespaces -}}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{ toJson .Values.namespaces }}
{{- end -}}
{{- end -}}
