package persistentvolume

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

// validateSource wants one source. What volumes of pods can have, too, has their rules.
func validateSource(s *corev1.PersistentVolumeSource, at *field.Path) (errs field.ErrorList) {
	like := likeOfPods(s)
	found := like != corev1.VolumeSource{}
	only := func(name string, set bool, validate func(*field.Path) field.ErrorList) {
		switch {
		case set && found:
			errs = append(errs, field.Forbidden(at.Child(name), "may not specify more than 1 volume type"))
		case set:
			errs, found = append(errs, validate(at.Child(name))...), true
		}
	}
	if found {
		errs = volumes.ValidateSource(like, at)
	}
	only("local", s.Local != nil, func(at *field.Path) field.ErrorList {
		if s.Local.Path == "" {
			return field.ErrorList{field.Required(at.Child("path"), "")}
		}
		return check.NoBacksteps(s.Local.Path, at.Child("path"))
	})
	only("csi", s.CSI != nil, func(at *field.Path) field.ErrorList { return validateCSI(s.CSI, at) })
	if !found {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	return errs
}

// likeOfPods is the source as one of a pod's volume, with what is checked of it.
func likeOfPods(s *corev1.PersistentVolumeSource) corev1.VolumeSource {
	v := corev1.VolumeSource{
		GCEPersistentDisk: s.GCEPersistentDisk, AWSElasticBlockStore: s.AWSElasticBlockStore, HostPath: s.HostPath, NFS: s.NFS, FC: s.FC,
		Flocker: s.Flocker, VsphereVolume: s.VsphereVolume, Quobyte: s.Quobyte, AzureDisk: s.AzureDisk,
		PhotonPersistentDisk: s.PhotonPersistentDisk, PortworxVolume: s.PortworxVolume,
	}
	if g := s.Glusterfs; g != nil {
		v.Glusterfs = &corev1.GlusterfsVolumeSource{EndpointsName: g.EndpointsName, Path: g.Path}
	}
	if r := s.RBD; r != nil {
		v.RBD = &corev1.RBDVolumeSource{CephMonitors: r.CephMonitors, RBDImage: r.RBDImage}
	}
	if i := s.ISCSI; i != nil {
		v.ISCSI = &corev1.ISCSIVolumeSource{TargetPortal: i.TargetPortal, IQN: i.IQN}
	}
	if c := s.Cinder; c != nil {
		v.Cinder = &corev1.CinderVolumeSource{VolumeID: c.VolumeID}
	}
	if c := s.CephFS; c != nil {
		v.CephFS = &corev1.CephFSVolumeSource{Monitors: c.Monitors}
	}
	if f := s.FlexVolume; f != nil {
		v.FlexVolume = &corev1.FlexVolumeSource{Driver: f.Driver}
	}
	if a := s.AzureFile; a != nil {
		v.AzureFile = &corev1.AzureFileVolumeSource{SecretName: a.SecretName, ShareName: a.ShareName}
	}
	if o := s.ScaleIO; o != nil {
		v.ScaleIO = &corev1.ScaleIOVolumeSource{Gateway: o.Gateway, System: o.System}
	}
	if o := s.StorageOS; o != nil {
		v.StorageOS = &corev1.StorageOSVolumeSource{VolumeName: o.VolumeName}
	}
	return v
}

// maxDriver is how long the name of a storage driver may be.
const maxDriver = 63

func validateCSI(c *corev1.CSIPersistentVolumeSource, at *field.Path) field.ErrorList {
	driver := at.Child("driver")
	errs := check.Required(c.Driver, driver)
	if len(c.Driver) > maxDriver {
		errs = append(errs, field.TooLong(driver, c.Driver, maxDriver))
	}
	if c.Driver != "" {
		errs = append(errs, check.Messages(validation.IsDNS1123Subdomain(strings.ToLower(c.Driver)), c.Driver, driver)...)
	}
	errs = append(errs, check.Required(c.VolumeHandle, at.Child("volumeHandle"))...)
	for _, secret := range []struct {
		name string
		ref  *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", c.ControllerPublishSecretRef}, {"controllerExpandSecretRef", c.ControllerExpandSecretRef},
		{"nodePublishSecretRef", c.NodePublishSecretRef}, {"nodeExpandSecretRef", c.NodeExpandSecretRef},
	} {
		if secret.ref == nil {
			continue
		}
		for _, part := range []struct {
			name, value string
			valid       func(string, *field.Path) field.ErrorList
		}{{"name", secret.ref.Name, check.Subdomain}, {"namespace", secret.ref.Namespace, check.DNSLabel}} {
			one := at.Child(secret.name, part.name)
			if part.value == "" {
				errs = append(errs, field.Required(one, ""))
			} else {
				errs = append(errs, part.valid(part.value, one)...)
			}
		}
	}
	return errs
}
