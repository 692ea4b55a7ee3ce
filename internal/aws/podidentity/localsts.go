package podidentity

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/aws/arn"
)

// What leads clients to the STS of this system. The bundle is the authority that every
// namespace has in a ConfigMap, in a volume of its own: a pod need not mount the
// credentials of the API.
const (
	envBundle    = "AWS_CA_BUNDLE"
	envEndpoint  = "AWS_ENDPOINT_URL_STS"
	envEndpoints = "AWS_ENDPOINT_URL" // for all services, weaker than the one for STS
	envNode      = "NODE_EXTRA_CA_CERTS"

	// localHost is the name in the server's certificate. It is among the hosts of the pod,
	// since pods with the node's network or a DNS of their own do not look it up here.
	localHost     = "aws.kube-system.svc"
	localEndpoint = "https://" + localHost

	bundleVolume = "aws-ca-bundle"
	bundleMount  = "/var/run/secrets/laterna.dev/aws"
	bundleFile   = "ca.crt"
	rootCAs      = "kube-root-ca.crt"
	// accountBundle is the same file, as pods have it beside their token for the API.
	accountBundle = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

	// defaultRegion is where clients look that know of none: JavaScript's fromTokenFile does
	// whatever AWS_REGION says.
	defaultRegion = "us-east-1"
)

// LocalSTS is what leads the AWS clients of a pod to the STS of this system: hosts for those
// that know no variable for it, an endpoint for those that do, and the authority of its
// certificate. It is beside the webhook's, which knows nothing of the sort.
type LocalSTS struct {
	address string
	skip    map[string]bool
}

// WantsLocalSTS tells whether a pod is led to the STS of this system: by its annotation, or
// else by that of its service account, or else by LocalSTS of the settings where it has a
// role.
func (s *Settings) WantsLocalSTS(pod, account map[string]string, role bool) bool {
	for _, annotations := range []map[string]string{pod, account} {
		if yes, err := strconv.ParseBool(annotations[api.LocalSTS]); err == nil {
			return yes
		}
	}
	return s.LocalSTS && role
}

// DecideLocal is what leads a pod to the STS at an address, on port 443.
func (s *Settings) DecideLocal(pod *corev1.Pod, sts netip.Addr) *LocalSTS {
	_, skip := s.ofPod(pod.Annotations, 0)
	return &LocalSTS{sts.String(), skip}
}

// Apply changes a pod into which its role has been injected, whose regions count. Applied
// again it changes nothing but what is new.
func (l *LocalSTS) Apply(pod *corev1.Pod) {
	if bundleOf(pod) == nil {
		pod.Spec.Volumes = append(slices.Clip(pod.Spec.Volumes), bundle())
	}
	if holdsBundle(pod) {
		l.each(pod, func(c *corev1.Container) { led(c, bundlePath(pod)) })
	}
	l.hosts(pod)
}

// ApplyTo is Apply for an ephemeral container of a pod that has the bundle already.
func (l *LocalSTS) ApplyTo(pod *corev1.Pod, c *corev1.EphemeralContainer) {
	if holdsBundle(pod) && !l.skip[c.Name] {
		led((*corev1.Container)(&c.EphemeralContainerCommon), bundlePath(pod))
	}
}

// each calls f for every container that is not skipped.
func (l *LocalSTS) each(pod *corev1.Pod, f func(*corev1.Container)) {
	for _, all := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range all {
			if !l.skip[all[i].Name] {
				f(&all[i])
			}
		}
	}
}

// led gives a container what it does not say itself. Where it has something else in the
// place of the bundle it is left alone.
func led(c *corev1.Container, file string) {
	if !mounts(c) {
		if slices.ContainsFunc(c.VolumeMounts, atBundle) {
			return
		}
		c.VolumeMounts = append(slices.Clip(c.VolumeMounts), corev1.VolumeMount{Name: bundleVolume, ReadOnly: true, MountPath: bundleMount})
	}
	for _, e := range []corev1.EnvVar{{Name: envBundle, Value: file}, {Name: envEndpoint, Value: localEndpoint}, {Name: envNode, Value: file}} {
		if stated(c, e.Name) == nil {
			c.Env = append(slices.Clip(c.Env), e)
		}
	}
}

// stated is what a container says itself of a variable, nil for nothing. Who says where all
// services are has said where STS is.
func stated(c *corev1.Container, name string) *corev1.EnvVar {
	at := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
	if at >= 0 {
		return &c.Env[at]
	}
	if name == envEndpoint {
		return stated(c, envEndpoints)
	}
	return nil
}

func atBundle(m corev1.VolumeMount) bool {
	return strings.TrimRight(m.MountPath, "/") == bundleMount
}

// mounts tells whether a container has the bundle where it is looked for.
func mounts(c *corev1.Container) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == bundleVolume && atBundle(m) && m.SubPath == "" })
}

// bundle is the volume with the authority.
func bundle() corev1.Volume {
	return corev1.Volume{Name: bundleVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(corev1.ProjectedVolumeSourceDefaultMode),
		Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: rootCAs},
			Items:                []corev1.KeyToPath{{Key: bundleFile, Path: bundleFile}},
		}}},
	}}}
}

// bundleOf is the pod's volume of that name, nil if it has none.
func bundleOf(pod *corev1.Pod) *corev1.Volume {
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == bundleVolume })
	if at < 0 {
		return nil
	}
	return &pod.Spec.Volumes[at]
}

// holdsBundle tells whether the pod's volume of that name holds the authority.
func holdsBundle(pod *corev1.Pod) bool {
	v := bundleOf(pod)
	return v != nil && v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool {
		return p.ConfigMap != nil && p.ConfigMap.Name == rootCAs && slices.ContainsFunc(p.ConfigMap.Items, func(k corev1.KeyToPath) bool { return k.Path == bundleFile })
	})
}

// bundlePath is the file as the processes of a pod see it.
func bundlePath(pod *corev1.Pod) string { return onNode(pod, bundleMount+"/"+bundleFile) }

// hosts adds names to the pod's own, but for those that it has. One address has one line.
func (l *LocalSTS) hosts(pod *corev1.Pod) {
	var missing []string
	for _, name := range l.names(pod) {
		if aliased(pod, name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return
	}
	all := slices.Clone(pod.Spec.HostAliases)
	at := slices.IndexFunc(all, func(a corev1.HostAlias) bool { return a.IP == l.address })
	if at < 0 {
		at, all = len(all), append(all, corev1.HostAlias{IP: l.address})
	}
	all[at].Hostnames = slices.Concat(all[at].Hostnames, missing)
	pod.Spec.HostAliases = all
}

// aliased is the address that a pod gives a name, "" for none.
func aliased(pod *corev1.Pod, name string) string {
	for _, a := range pod.Spec.HostAliases {
		if slices.ContainsFunc(a.Hostnames, func(h string) bool { return strings.EqualFold(h, name) }) {
			return a.IP
		}
	}
	return ""
}

// names are the hosts that are led to the STS: our own, the one without a region, and those
// of the regions that the pod's containers name, and of the one that is taken where none is.
func (l *LocalSTS) names(pod *corev1.Pod) []string {
	all := []string{localHost, arn.GlobalSTSHost}
	add := func(region string) {
		if host, ok := arn.STSHost(region); ok && !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	add(defaultRegion)
	l.each(pod, func(c *corev1.Container) {
		for _, e := range regions(c) {
			add(e.Value)
		}
	})
	return all
}

// regions are the variables of a container that name one.
func regions(c *corev1.Container) (named []corev1.EnvVar) {
	for _, e := range c.Env {
		if e.Name == envRegion || e.Name == envDefault {
			named = append(named, e)
		}
	}
	return named
}
