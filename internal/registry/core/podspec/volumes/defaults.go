package volumes

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec/downward"
	"laterna.dev/laterna/internal/registry/core/podspec/imageref"
	"laterna.dev/laterna/internal/registry/quantity"
)

// defaultFileMode is the mode of files in secret, configMap, downwardAPI and
// projected volumes that say none.
const defaultFileMode int32 = 0o644

// defaultTokenSeconds is the life of a projected token that says none.
const defaultTokenSeconds int64 = 3600

// defaultCertificateSeconds is the life of a projected certificate that says none.
const defaultCertificateSeconds int32 = 86400

// Default fills in what a volume leaves open.
func Default(v *corev1.Volume) {
	if ptr.AllPtrFieldsNil(&v.VolumeSource) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	if v.Secret != nil {
		setIfNil(&v.Secret.DefaultMode, defaultFileMode)
	}
	if v.ConfigMap != nil {
		setIfNil(&v.ConfigMap.DefaultMode, defaultFileMode)
	}
	if v.DownwardAPI != nil {
		setIfNil(&v.DownwardAPI.DefaultMode, defaultFileMode)
		defaultDownwardFiles(v.DownwardAPI.Items)
	}
	if v.Projected != nil {
		setIfNil(&v.Projected.DefaultMode, defaultFileMode)
		for i := range v.Projected.Sources {
			defaultProjection(&v.Projected.Sources[i])
		}
	}
	defaultForeignVolume(v)
}

// Cap caps the amounts in a volume at what the API stores.
func Cap(v *corev1.Volume) {
	if v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil {
		*v.EmptyDir.SizeLimit = quantity.Cap(*v.EmptyDir.SizeLimit)
	}
	files := [][]corev1.DownwardAPIVolumeFile{}
	if v.DownwardAPI != nil {
		files = append(files, v.DownwardAPI.Items)
	}
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.DownwardAPI != nil {
				files = append(files, s.DownwardAPI.Items)
			}
		}
	}
	for _, list := range files {
		for i := range list {
			if ref := list[i].ResourceFieldRef; ref != nil {
				ref.Divisor = quantity.Cap(ref.Divisor)
			}
		}
	}
}

func defaultProjection(p *corev1.VolumeProjection) {
	if p.DownwardAPI != nil {
		defaultDownwardFiles(p.DownwardAPI.Items)
	}
	if p.ServiceAccountToken != nil {
		setIfNil(&p.ServiceAccountToken.ExpirationSeconds, defaultTokenSeconds)
	}
	if p.PodCertificate != nil {
		setIfNil(&p.PodCertificate.MaxExpirationSeconds, defaultCertificateSeconds)
	}
}

func defaultDownwardFiles(files []corev1.DownwardAPIVolumeFile) {
	for i := range files {
		downward.DefaultFieldRef(files[i].FieldRef)
	}
}

// defaultForeignVolume fills in the volume kinds that the agent does not mount,
// so that what is read back is what Kubernetes would show.
func defaultForeignVolume(v *corev1.Volume) {
	switch {
	case v.HostPath != nil:
		setIfNil(&v.HostPath.Type, corev1.HostPathUnset)
	case v.ISCSI != nil:
		setIfEmpty(&v.ISCSI.ISCSIInterface, "default")
	case v.RBD != nil:
		setIfEmpty(&v.RBD.RBDPool, "rbd")
		setIfEmpty(&v.RBD.RadosUser, "admin")
		setIfEmpty(&v.RBD.Keyring, "/etc/ceph/keyring")
	case v.AzureDisk != nil:
		setIfNil(&v.AzureDisk.CachingMode, corev1.AzureDataDiskCachingReadWrite)
		setIfNil(&v.AzureDisk.Kind, corev1.AzureSharedBlobDisk)
		setIfNil(&v.AzureDisk.FSType, "ext4")
		setIfNil(&v.AzureDisk.ReadOnly, false)
	case v.ScaleIO != nil:
		setIfEmpty(&v.ScaleIO.StorageMode, "ThinProvisioned")
		setIfEmpty(&v.ScaleIO.FSType, "xfs")
	case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
		setIfNil(&v.Ephemeral.VolumeClaimTemplate.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	case v.Image != nil:
		setIfEmpty(&v.Image.PullPolicy, imageref.DefaultPullPolicy(v.Image.Reference))
	}
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func setIfEmpty[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}
