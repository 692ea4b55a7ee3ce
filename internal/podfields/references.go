package podfields

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Kind is a kind of API object, by the name of its resource.
type Kind string

// The kinds that a pod spec can refer to.
const (
	Secrets             Kind = "secrets"
	ConfigMaps          Kind = "configmaps"
	ServiceAccounts     Kind = "serviceaccounts"
	VolumeClaims        Kind = "persistentvolumeclaims"
	CSIDrivers          Kind = "csidrivers"
	ClusterTrustBundles Kind = "clustertrustbundles"
	PodCertificates     Kind = "podcertificates"
	ResourceClaims      Kind = "resourceclaims"
)

// Reference is one place of a pod spec that refers to an API object.
type Reference struct {
	Kind Kind
	// Name is empty where the spec leaves it out, or where the object is chosen or made
	// for the pod.
	Name string
	// Volume is the volume that refers to the object, nil for others.
	Volume *corev1.Volume
	// Container is the container whose environment does, nil for others, and At its
	// place. Variable is the variable of its env, empty for envFrom.
	Container *corev1.Container
	At        Place
	Variable  string
	// Keys are those of the object that are read, nil where all are.
	Keys []string
}

// References yields what a pod refers to, each place that does so: the service account,
// image pull secrets, environments, volumes, resource claims. What the volumes of storage
// drivers keep secrets in is among it, though no such volume is mounted here: who may
// not use a Secret may not name it either.
func References(spec *corev1.PodSpec) iter.Seq[Reference] {
	return func(yield func(Reference) bool) {
		w := references{spec: spec, yield: yield}
		w.identity()
		for at, c := range Containers(spec) {
			w.environment(at, c)
		}
		for i := range spec.Volumes {
			w.volume(&spec.Volumes[i])
		}
		for i := range spec.ResourceClaims {
			w.add(Reference{Kind: ResourceClaims, Name: ptr.Deref(spec.ResourceClaims[i].ResourceClaimName, "")})
		}
	}
}

// references goes through a spec until nobody wants more.
type references struct {
	spec  *corev1.PodSpec
	yield func(Reference) bool
	ended bool
}

func (w *references) add(r Reference) { w.ended = w.ended || !w.yield(r) }

func (w *references) identity() {
	if w.spec.ServiceAccountName != "" {
		w.add(Reference{Kind: ServiceAccounts, Name: w.spec.ServiceAccountName})
	}
	for _, s := range w.spec.ImagePullSecrets {
		w.add(Reference{Kind: Secrets, Name: s.Name})
	}
}

func (w *references) environment(at Place, c *corev1.Container) {
	for _, f := range c.EnvFrom {
		if f.SecretRef != nil {
			w.add(Reference{Kind: Secrets, Name: f.SecretRef.Name, Container: c, At: at})
		}
		if f.ConfigMapRef != nil {
			w.add(Reference{Kind: ConfigMaps, Name: f.ConfigMapRef.Name, Container: c, At: at})
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			w.add(Reference{Kind: Secrets, Name: r.Name, Container: c, At: at, Variable: e.Name, Keys: []string{r.Key}})
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			w.add(Reference{Kind: ConfigMaps, Name: r.Name, Container: c, At: at, Variable: e.Name, Keys: []string{r.Key}})
		}
	}
}

func (w *references) volume(v *corev1.Volume) {
	named := func(kind Kind, name string) { w.add(Reference{Kind: kind, Name: name, Volume: v}) }
	switch {
	case v.Secret != nil:
		w.add(Reference{Kind: Secrets, Name: v.Secret.SecretName, Volume: v, Keys: keys(v.Secret.Items)})
	case v.ConfigMap != nil:
		w.add(Reference{Kind: ConfigMaps, Name: v.ConfigMap.Name, Volume: v, Keys: keys(v.ConfigMap.Items)})
	case v.Projected != nil:
		for i := range v.Projected.Sources {
			w.source(v, &v.Projected.Sources[i])
		}
	case v.PersistentVolumeClaim != nil:
		named(VolumeClaims, v.PersistentVolumeClaim.ClaimName)
	case v.Ephemeral != nil:
		named(VolumeClaims, "")
	case v.CSI != nil:
		named(CSIDrivers, v.CSI.Driver)
		w.secret(v, v.CSI.NodePublishSecretRef)
	default:
		w.foreign(v)
	}
}

func (w *references) source(v *corev1.Volume, s *corev1.VolumeProjection) {
	switch {
	case s.Secret != nil:
		w.add(Reference{Kind: Secrets, Name: s.Secret.Name, Volume: v, Keys: keys(s.Secret.Items)})
	case s.ConfigMap != nil:
		w.add(Reference{Kind: ConfigMaps, Name: s.ConfigMap.Name, Volume: v, Keys: keys(s.ConfigMap.Items)})
	case s.ServiceAccountToken != nil:
		w.add(Reference{Kind: ServiceAccounts, Name: w.spec.ServiceAccountName, Volume: v})
	case s.ClusterTrustBundle != nil:
		w.add(Reference{Kind: ClusterTrustBundles, Name: ptr.Deref(s.ClusterTrustBundle.Name, ""), Volume: v})
	case s.PodCertificate != nil:
		w.add(Reference{Kind: PodCertificates, Volume: v})
	}
}

// keys are those that a volume takes, nil where it takes all.
func keys(items []corev1.KeyToPath) (keys []string) {
	for _, i := range items {
		keys = append(keys, i.Key)
	}
	return keys
}

// foreign has the volumes of storage drivers that take their password from a Secret.
func (w *references) foreign(v *corev1.Volume) {
	switch {
	case v.AzureFile != nil:
		w.add(Reference{Kind: Secrets, Name: v.AzureFile.SecretName, Volume: v})
	case v.CephFS != nil:
		w.secret(v, v.CephFS.SecretRef)
	case v.Cinder != nil:
		w.secret(v, v.Cinder.SecretRef)
	case v.FlexVolume != nil:
		w.secret(v, v.FlexVolume.SecretRef)
	case v.RBD != nil:
		w.secret(v, v.RBD.SecretRef)
	case v.ScaleIO != nil:
		w.secret(v, v.ScaleIO.SecretRef)
	case v.ISCSI != nil:
		w.secret(v, v.ISCSI.SecretRef)
	case v.StorageOS != nil:
		w.secret(v, v.StorageOS.SecretRef)
	}
}

func (w *references) secret(v *corev1.Volume, r *corev1.LocalObjectReference) {
	if r != nil {
		w.add(Reference{Kind: Secrets, Name: r.Name, Volume: v})
	}
}
