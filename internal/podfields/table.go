package podfields

import "reflect"

// honoured lists the fields that the agent (or the scheduler, or admission) acts
// on, each with everything below it. Paths are those of the pod spec; [] stands
// for every element of a list, [key] for one key of a map. What holds for containers
// holds for init and ephemeral containers too, which are not named here.
var honoured = []string{
	"activeDeadlineSeconds",
	"affinity",
	"automountServiceAccountToken",
	"dnsConfig",
	"dnsPolicy",
	"enableServiceLinks",
	"hostAliases",
	"hostIPC",
	"hostNetwork",
	"hostPID",
	"hostname",
	"imagePullSecrets",
	"nodeName",
	"nodeSelector",
	"overhead",
	"preemptionPolicy",
	"priority",
	"priorityClassName",
	"readinessGates",
	"resources.limits[cpu]",
	"resources.limits[memory]",
	"resources.requests[cpu]",
	"resources.requests[memory]",
	"restartPolicy",
	"runtimeClassName",
	"schedulingGates",
	"serviceAccount",
	"serviceAccountName",
	"shareProcessNamespace",
	"subdomain",
	"terminationGracePeriodSeconds",
	"tolerations",
	"topologySpreadConstraints",

	"securityContext.appArmorProfile",
	"securityContext.fsGroup",
	"securityContext.fsGroupChangePolicy",
	"securityContext.runAsGroup",
	"securityContext.runAsNonRoot",
	"securityContext.runAsUser",
	"securityContext.seccompProfile",
	"securityContext.supplementalGroups",
	"securityContext.supplementalGroupsPolicy",
	"securityContext.sysctls",

	"containers[].args",
	"containers[].command",
	"containers[].env[].name",
	"containers[].env[].value",
	"containers[].env[].valueFrom.configMapKeyRef",
	"containers[].env[].valueFrom.fieldRef",
	"containers[].env[].valueFrom.fileKeyRef",
	"containers[].env[].valueFrom.resourceFieldRef",
	"containers[].env[].valueFrom.secretKeyRef",
	"containers[].envFrom",
	"containers[].image",
	"containers[].imagePullPolicy",
	"containers[].lifecycle.postStart",
	"containers[].lifecycle.preStop",
	"containers[].lifecycle.stopSignal",
	"containers[].livenessProbe",
	"containers[].name",
	"containers[].ports[].containerPort",
	"containers[].ports[].hostIP",
	"containers[].ports[].hostPort",
	"containers[].ports[].name",
	"containers[].ports[].protocol",
	"containers[].readinessProbe",
	"containers[].resizePolicy",
	"containers[].resources.limits[cpu]",
	"containers[].resources.limits[memory]",
	"containers[].resources.requests[cpu]",
	"containers[].resources.requests[ephemeral-storage]",
	"containers[].resources.requests[memory]",
	"containers[].securityContext.allowPrivilegeEscalation",
	"containers[].securityContext.appArmorProfile",
	"containers[].securityContext.capabilities",
	"containers[].securityContext.privileged",
	"containers[].securityContext.procMount",
	"containers[].securityContext.readOnlyRootFilesystem",
	"containers[].securityContext.runAsGroup",
	"containers[].securityContext.runAsNonRoot",
	"containers[].securityContext.runAsUser",
	"containers[].securityContext.seccompProfile",
	"containers[].restartPolicy",
	"containers[].restartPolicyRules",
	"containers[].startupProbe",
	"containers[].stdin",
	"containers[].stdinOnce",
	"containers[].terminationMessagePath",
	"containers[].terminationMessagePolicy",
	"containers[].tty",
	"containers[].volumeMounts[].mountPath",
	"containers[].volumeMounts[].mountPropagation",
	"containers[].volumeMounts[].name",
	"containers[].volumeMounts[].readOnly",
	"containers[].volumeMounts[].subPath",
	"containers[].volumeMounts[].subPathExpr",
	"containers[].workingDir",

	"ephemeralContainers[].targetContainerName",

	"volumes[].name",
	"volumes[].configMap.defaultMode",
	"volumes[].configMap.defaultUser",
	"volumes[].configMap.items[].key",
	"volumes[].configMap.items[].mode",
	"volumes[].configMap.items[].path",
	"volumes[].configMap.items[].user",
	"volumes[].configMap.name",
	"volumes[].configMap.optional",
	"volumes[].downwardAPI.defaultMode",
	"volumes[].downwardAPI.defaultUser",
	"volumes[].downwardAPI.items[].fieldRef",
	"volumes[].downwardAPI.items[].mode",
	"volumes[].downwardAPI.items[].path",
	"volumes[].downwardAPI.items[].resourceFieldRef",
	"volumes[].downwardAPI.items[].user",
	"volumes[].emptyDir.medium",
	"volumes[].emptyDir.mode",
	"volumes[].emptyDir.sizeLimit",
	"volumes[].hostPath.path",
	"volumes[].hostPath.type",
	"volumes[].image.pullPolicy",
	"volumes[].image.reference",
	"volumes[].projected.defaultMode",
	"volumes[].projected.defaultUser",
	"volumes[].projected.sources[].configMap.items[].key",
	"volumes[].projected.sources[].configMap.items[].mode",
	"volumes[].projected.sources[].configMap.items[].path",
	"volumes[].projected.sources[].configMap.items[].user",
	"volumes[].projected.sources[].configMap.name",
	"volumes[].projected.sources[].configMap.optional",
	"volumes[].projected.sources[].downwardAPI.items[].fieldRef",
	"volumes[].projected.sources[].downwardAPI.items[].mode",
	"volumes[].projected.sources[].downwardAPI.items[].path",
	"volumes[].projected.sources[].downwardAPI.items[].resourceFieldRef",
	"volumes[].projected.sources[].downwardAPI.items[].user",
	"volumes[].projected.sources[].secret.items[].key",
	"volumes[].projected.sources[].secret.items[].mode",
	"volumes[].projected.sources[].secret.items[].path",
	"volumes[].projected.sources[].secret.items[].user",
	"volumes[].projected.sources[].secret.name",
	"volumes[].projected.sources[].secret.optional",
	"volumes[].projected.sources[].serviceAccountToken.audience",
	"volumes[].projected.sources[].serviceAccountToken.expirationSeconds",
	"volumes[].projected.sources[].serviceAccountToken.path",
	"volumes[].projected.sources[].serviceAccountToken.user",
	"volumes[].secret.defaultMode",
	"volumes[].secret.defaultUser",
	"volumes[].secret.items[].key",
	"volumes[].secret.items[].mode",
	"volumes[].secret.items[].path",
	"volumes[].secret.items[].user",
	"volumes[].secret.optional",
	"volumes[].secret.secretName",
}

// neutral gives the values of fields that are not honoured but ask for what the
// agent does anyway. Most are the API's defaults.
var neutral = map[string][]any{
	"containers[].volumeMounts[].recursiveReadOnly": {"Disabled", "IfPossible"},
	"hostUsers":         {true},
	"os.name":           {"linux"},
	"schedulerName":     {"default-scheduler"},
	"setHostnameAsFQDN": {false},
}

// blocking gives the fields without which a pod would not do what it is made for,
// and why. A pod that has one is not started. A path that ends in .* means every
// field there that is not honoured.
var blocking = map[string]string{
	"containers[].env[].valueFrom.*":                "variables from this kind of source are not set",
	"containers[].resources.claims":                 "devices cannot be claimed",
	"containers[].volumeMounts[].bindMountOptions":  "mounts get no options of their own",
	"containers[].volumeMounts[].recursiveReadOnly": "mounts below a mount are not made read-only",
	"containers[].volumeDevices":                    "block devices are not attached",
	"hostUsers":                                     "containers do not get a user namespace of their own",
	"os.name":                                       "only linux containers are run",
	"resourceClaims":                                "devices cannot be claimed",
	"volumes[].*":                                   "volumes of this kind are not mounted",
	"volumes[].projected.sources[].*":               "files of this kind of source are not written",
}

// partly gives the fields that are not honoured as upstream does and yet change
// something, and what that is. A path that ends in [*] means every key of a map that is
// not honoured.
var partly = map[string]string{
	"containers[].resources.limits[*]":   extended,
	"containers[].resources.requests[*]": extended,
	"resources.limits[*]":                extended,
	"resources.requests[*]":              extended,
	"schedulerName":                      "no scheduler of this name runs here: the pod waits until somebody binds it to a node",
}

const extended = "containers get nothing of this resource, and the pod waits until a node offers it"

// unenforced are the keys of maps that change nothing, whatever partly says of the
// others.
var unenforced = map[string]bool{"containers[].resources.limits[ephemeral-storage]": true}

func isNeutral(path string, v reflect.Value) bool {
	for _, want := range neutral[path] {
		if v.CanConvert(reflect.TypeOf(want)) && v.Convert(reflect.TypeOf(want)).Interface() == want {
			return true
		}
	}
	return false
}
