package podfields

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
)

func parse(t *testing.T, text string) *corev1.PodSpec {
	t.Helper()
	spec := &corev1.PodSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestUnhonoured(t *testing.T) {
	const notHonoured = "this field is not honoured by Laterna"
	for name, c := range map[string]struct {
		spec string
		want []Finding
	}{
		"all of it honoured": {spec: `
serviceAccountName: sa
terminationGracePeriodSeconds: 30
priorityClassName: high
priority: 7
preemptionPolicy: Never
affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: k}}]}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: k, whenUnsatisfiable: ScheduleAnyway}]
dnsPolicy: ClusterFirst
schedulerName: default-scheduler
securityContext: {runAsUser: 1, fsGroup: 2}
containers:
- name: main
  image: i
  terminationMessagePath: /dev/termination-log
  terminationMessagePolicy: File
  env: [{name: A, value: b}, {name: C, valueFrom: {secretKeyRef: {name: s, key: k}}}]
  resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1}}
  volumeMounts: [{name: v, mountPath: /v, readOnly: true}]
volumes:
- name: v
  projected:
    defaultMode: 420
    sources:
    - secret: {name: s, items: [{key: a, path: b, mode: 511}]}
    - serviceAccountToken: {path: t, audience: a, expirationSeconds: 600}
- name: e
  emptyDir: {}
`},
		"an option only warns": {spec: `
containers: [{name: a, image: i}, {name: b, image: i, securityContext: {seLinuxOptions: {level: l}}, livenessProbe: {exec: {command: [x]}}, lifecycle: {postStart: {sleep: {}}}}]
`, want: []Finding{{Path: "spec.containers[1].securityContext.seLinuxOptions", Message: notHonoured}}},
		"a volume kind blocks": {spec: `
containers: [{name: a, image: i}]
volumes: [{name: e, emptyDir: {}}, {name: h, hostPath: {path: /}}, {name: n, nfs: {server: s, path: /}}]
`, want: []Finding{{Path: "spec.volumes[2].nfs", Blocks: true,
			Message: notHonoured + ": volumes of this kind are not mounted, and the pod does not start"}}},
		"a projected source blocks": {spec: `
containers: [{name: a, image: i}]
volumes: [{name: p, projected: {sources: [{secret: {name: s}}, {clusterTrustBundle: {name: b, path: c}}]}}]
`, want: []Finding{{Path: "spec.volumes[0].projected.sources[1].clusterTrustBundle", Blocks: true,
			Message: notHonoured + ": files of this kind of source are not written, and the pod does not start"}}},
		"variables of every kind are honoured": {spec: `
containers:
- name: a
  image: i
  envFrom: [{prefix: P_, configMapRef: {name: c, optional: true}}, {secretRef: {name: s}}]
  env:
  - {name: F, valueFrom: {fileKeyRef: {volumeName: v, path: p, key: k, optional: true}}}
  - {name: D, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: status.hostIPs}}}
  - {name: R, valueFrom: {resourceFieldRef: {containerName: a, resource: limits.cpu, divisor: 1m}}}
  - {name: C, valueFrom: {configMapKeyRef: {name: c, key: k, optional: true}}}
resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1, memory: 1Gi}}
`},
		"huge pages of a whole pod are not": {spec: `
containers: [{name: a, image: i}]
resources: {limits: {cpu: 1, hugepages-2Mi: 2Mi}}
`, want: []Finding{{Path: "spec.resources.limits[hugepages-2Mi]", Message: extended}}},
		"owners of files are honoured": {spec: `
containers: [{name: a, image: i}]
volumes:
- {name: s, secret: {secretName: s, defaultUser: 5, items: [{key: k, path: p, user: 5}]}}
- {name: c, configMap: {name: c, defaultUser: 0, items: [{key: k, path: p, user: 0}]}}
- {name: d, downwardAPI: {defaultUser: 5, items: [{path: p, user: 5}]}}
- name: p
  projected:
    defaultUser: 5
    sources:
    - {secret: {items: [{user: 5}]}}
    - {configMap: {items: [{user: 5}]}}
    - {downwardAPI: {items: [{user: 5}]}}
    - {serviceAccountToken: {path: t, user: 5}}
`},
		"one key of a map": {spec: `
containers: [{name: a, image: i, resources: {limits: {cpu: 1, example.com/gpu: 1}}}]
`, want: []Finding{{Path: "spec.containers[0].resources.limits[example.com/gpu]", Message: extended}}},
		"a limit that nobody enforces": {spec: `
containers: [{name: a, image: i, resources: {limits: {ephemeral-storage: 1Gi}, requests: {ephemeral-storage: 1Gi}}}]
`, want: []Finding{{Path: "spec.containers[0].resources.limits[ephemeral-storage]", Message: notHonoured}}},
		"ports of the machine": {spec: `
containers: [{name: a, image: i, ports: [{name: w, containerPort: 80, protocol: TCP}, {containerPort: 81, hostPort: 8081, hostIP: 192.0.2.1}]}]
`},
		"options of mounts make them safer": {spec: `
containers: [{name: a, image: i, volumeMounts: [{name: v, mountPath: /v, bindMountOptions: [noexec]}]}]
`, want: []Finding{{Path: "spec.containers[0].volumeMounts[0].bindMountOptions", Blocks: true,
			Message: notHonoured + ": mounts get no options of their own, and the pod does not start"}}},
		"neutral values": {spec: `
containers: [{name: a, image: i, volumeMounts: [{name: v, mountPath: /v, recursiveReadOnly: IfPossible}]}]
hostUsers: true
setHostnameAsFQDN: false
os: {name: linux}
`},
		"other values of the same": {spec: `
containers: [{name: a, image: i, volumeMounts: [{name: v, mountPath: /v, recursiveReadOnly: Enabled}]}]
hostUsers: false
os: {name: windows}
schedulerName: mine
`, want: []Finding{
			{Path: "spec.containers[0].volumeMounts[0].recursiveReadOnly", Blocks: true, Message: notHonoured + ": mounts below a mount are not made read-only, and the pod does not start"},
			{Path: "spec.schedulerName", Message: partly["schedulerName"]},
			{Path: "spec.os.name", Blocks: true, Message: notHonoured + ": only linux containers are run, and the pod does not start"},
			{Path: "spec.hostUsers", Blocks: true, Message: notHonoured + ": containers do not get a user namespace of their own, and the pod does not start"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Unhonoured(parse(t, c.spec)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestBlocking(t *testing.T) {
	spec := parse(t, `
initContainers: [{name: i, image: i}, {name: j, image: i, restartPolicy: Always, volumeDevices: [{name: n, devicePath: /d}]}]
containers: [{name: a, image: i, readinessProbe: {exec: {command: [x]}}}]
ephemeralContainers: [{name: e, image: i, targetContainerName: a, stdin: true}]
volumes: [{name: n, nfs: {server: s, path: /}}]
`)
	got := Blocking(spec)
	if len(got) != 2 || got[0].Path != "spec.volumes[0].nfs" || got[1].Path != "spec.initContainers[1].volumeDevices" {
		t.Errorf("Blocking = %v", got)
	}
	if text := got[1].String(); !strings.HasPrefix(text, "spec.initContainers[1].volumeDevices: ") {
		t.Errorf("String = %q", text)
	}
}

// TestTableNamesFields fails when the table names what the API does not have.
func TestTableNamesFields(t *testing.T) {
	var paths []string
	paths = append(paths, honoured...)
	for path := range neutral {
		paths = append(paths, path)
	}
	for path := range partly {
		paths = append(paths, path)
	}
	for path := range unenforced {
		paths = append(paths, path)
	}
	for path := range blocking {
		paths = append(paths, strings.TrimSuffix(path, ".*"))
	}
	for _, path := range paths {
		if err := lookUp(reflect.TypeFor[corev1.PodSpec](), path); err != "" {
			t.Errorf("%s: %s", path, err)
		}
	}
}

func lookUp(typ reflect.Type, path string) string {
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' }) {
		name, rest, _ := strings.Cut(step, "[")
		found, ok := member(typ, name)
		if !ok {
			return typ.String() + " has no " + name
		}
		typ = found
		if rest != "" {
			typ = deref(typ.Elem())
		}
	}
	return ""
}

func member(typ reflect.Type, name string) (reflect.Type, bool) {
	if typ.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name {
			return deref(f.Type), true
		}
		if tag == "" {
			if found, ok := member(deref(f.Type), name); ok {
				return found, true
			}
		}
	}
	return nil, false
}

func deref(typ reflect.Type) reflect.Type {
	if typ.Kind() == reflect.Pointer {
		return typ.Elem()
	}
	return typ
}

func TestEverySetFieldIsFoundOrHonoured(t *testing.T) {
	// A field that a later API adds is unknown here and so must be reported.
	spec := &corev1.PodSpec{
		HostnameOverride: ptr.To("h"),
	}
	var got []string
	for _, f := range Unhonoured(spec) {
		got = append(got, f.Path)
	}
	want := []string{"spec.hostnameOverride"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
