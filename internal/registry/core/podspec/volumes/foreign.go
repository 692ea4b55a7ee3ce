package volumes

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/imageref"
)

func validateEphemeral(v *corev1.Volume, path *field.Path, o Options) field.ErrorList {
	var errs field.ErrorList
	if v.Ephemeral.VolumeClaimTemplate == nil {
		errs = append(errs, field.Required(path.Child("volumeClaimTemplate"), ""))
	}
	if o.PodName == "" || v.Name == "" {
		return errs
	}
	claim := o.PodName + "-" + v.Name
	for _, msg := range validation.IsDNS1123Subdomain(claim) {
		errs = append(errs, field.Invalid(path.Child("name"), v.Name, fmt.Sprintf("PVC name %q: %v", claim, msg)))
	}
	return errs
}

// foreignVolumeKinds are the kinds that the agent does not mount and that need
// little more than their required fields to be taken.
var foreignVolumeKinds = []volumeKind{
	kindOf("gitRepo", func(v *corev1.Volume) *corev1.GitRepoVolumeSource { return v.GitRepo },
		func(s *corev1.GitRepoVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.Repository, p.Child("repository")), check.DescendingPath(s.Directory, p.Child("directory"))...)
		}),
	kindOf("gcePersistentDisk", func(v *corev1.Volume) *corev1.GCEPersistentDiskVolumeSource { return v.GCEPersistentDisk },
		func(s *corev1.GCEPersistentDiskVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.PDName, p.Child("pdName"))
		}),
	kindOf("awsElasticBlockStore", func(v *corev1.Volume) *corev1.AWSElasticBlockStoreVolumeSource { return v.AWSElasticBlockStore },
		func(s *corev1.AWSElasticBlockStoreVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.VolumeID, p.Child("volumeID"))
		}),
	kindOf("nfs", func(v *corev1.Volume) *corev1.NFSVolumeSource { return v.NFS }, validateNFS),
	kindOf("iscsi", func(v *corev1.Volume) *corev1.ISCSIVolumeSource { return v.ISCSI },
		func(s *corev1.ISCSIVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.TargetPortal, p.Child("targetPortal")), check.Required(s.IQN, p.Child("iqn"))...)
		}),
	kindOf("glusterfs", func(v *corev1.Volume) *corev1.GlusterfsVolumeSource { return v.Glusterfs },
		func(s *corev1.GlusterfsVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.EndpointsName, p.Child("endpoints")), check.Required(s.Path, p.Child("path"))...)
		}),
	kindOf("flocker", func(v *corev1.Volume) *corev1.FlockerVolumeSource { return v.Flocker },
		func(s *corev1.FlockerVolumeSource, p *field.Path) field.ErrorList {
			if s.DatasetName == "" && s.DatasetUUID == "" {
				return field.ErrorList{field.Required(p, "one of datasetName and datasetUUID is required")}
			}
			return nil
		}),
	kindOf("persistentVolumeClaim", func(v *corev1.Volume) *corev1.PersistentVolumeClaimVolumeSource { return v.PersistentVolumeClaim },
		func(s *corev1.PersistentVolumeClaimVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.ClaimName, p.Child("claimName"))
		}),
	kindOf("rbd", func(v *corev1.Volume) *corev1.RBDVolumeSource { return v.RBD },
		func(s *corev1.RBDVolumeSource, p *field.Path) field.ErrorList {
			return append(check.RequiredList(len(s.CephMonitors), p.Child("monitors")), check.Required(s.RBDImage, p.Child("image"))...)
		}),
	kindOf("cinder", func(v *corev1.Volume) *corev1.CinderVolumeSource { return v.Cinder },
		func(s *corev1.CinderVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.VolumeID, p.Child("volumeID"))
		}),
	kindOf("cephfs", func(v *corev1.Volume) *corev1.CephFSVolumeSource { return v.CephFS },
		func(s *corev1.CephFSVolumeSource, p *field.Path) field.ErrorList {
			return check.RequiredList(len(s.Monitors), p.Child("monitors"))
		}),
	kindOf("quobyte", func(v *corev1.Volume) *corev1.QuobyteVolumeSource { return v.Quobyte },
		func(s *corev1.QuobyteVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.Registry, p.Child("registry")), check.Required(s.Volume, p.Child("volume"))...)
		}),
	kindOf("fc", func(v *corev1.Volume) *corev1.FCVolumeSource { return v.FC },
		func(s *corev1.FCVolumeSource, p *field.Path) field.ErrorList {
			if len(s.TargetWWNs) == 0 && len(s.WWIDs) == 0 {
				return field.ErrorList{field.Required(p.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")}
			}
			return nil
		}),
	kindOf("flexVolume", func(v *corev1.Volume) *corev1.FlexVolumeSource { return v.FlexVolume },
		func(s *corev1.FlexVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.Driver, p.Child("driver"))
		}),
	kindOf("azureFile", func(v *corev1.Volume) *corev1.AzureFileVolumeSource { return v.AzureFile },
		func(s *corev1.AzureFileVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.SecretName, p.Child("secretName")), check.Required(s.ShareName, p.Child("shareName"))...)
		}),
	kindOf("vsphereVolume", func(v *corev1.Volume) *corev1.VsphereVirtualDiskVolumeSource { return v.VsphereVolume },
		func(s *corev1.VsphereVirtualDiskVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.VolumePath, p.Child("volumePath"))
		}),
	kindOf("photonPersistentDisk", func(v *corev1.Volume) *corev1.PhotonPersistentDiskVolumeSource { return v.PhotonPersistentDisk },
		func(s *corev1.PhotonPersistentDiskVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.PdID, p.Child("pdID"))
		}),
	kindOf("portworxVolume", func(v *corev1.Volume) *corev1.PortworxVolumeSource { return v.PortworxVolume },
		func(s *corev1.PortworxVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.VolumeID, p.Child("volumeID"))
		}),
	kindOf("azureDisk", func(v *corev1.Volume) *corev1.AzureDiskVolumeSource { return v.AzureDisk },
		func(s *corev1.AzureDiskVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.DiskName, p.Child("diskName")), check.Required(s.DataDiskURI, p.Child("diskURI"))...)
		}),
	kindOf("storageos", func(v *corev1.Volume) *corev1.StorageOSVolumeSource { return v.StorageOS },
		func(s *corev1.StorageOSVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.VolumeName, p.Child("volumeName"))
		}),
	kindOf("scaleIO", func(v *corev1.Volume) *corev1.ScaleIOVolumeSource { return v.ScaleIO },
		func(s *corev1.ScaleIOVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.Gateway, p.Child("gateway")), check.Required(s.System, p.Child("system"))...)
		}),
	kindOf("csi", func(v *corev1.Volume) *corev1.CSIVolumeSource { return v.CSI },
		func(s *corev1.CSIVolumeSource, p *field.Path) field.ErrorList {
			return check.Required(s.Driver, p.Child("driver"))
		}),
	kindOf("image", func(v *corev1.Volume) *corev1.ImageVolumeSource { return v.Image },
		func(s *corev1.ImageVolumeSource, p *field.Path) field.ErrorList {
			return append(check.Required(s.Reference, p.Child("reference")), imageref.ValidatePullPolicy(s.PullPolicy, p.Child("pullPolicy"))...)
		}),
}

func validateHostPath(s *corev1.HostPathVolumeSource, at *field.Path) field.ErrorList {
	if s.Path == "" {
		return field.ErrorList{field.Required(at.Child("path"), "")}
	}
	errs := check.NoBacksteps(s.Path, at.Child("path"))
	return append(errs, check.SupportedIfSet(at.Child("type"), s.Type,
		corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev, corev1.HostPathDirectory,
		corev1.HostPathDirectoryOrCreate, corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket)...)
}

func validateNFS(s *corev1.NFSVolumeSource, at *field.Path) field.ErrorList {
	errs := append(check.Required(s.Server, at.Child("server")), check.Required(s.Path, at.Child("path"))...)
	if !path.IsAbs(s.Path) {
		errs = append(errs, field.Invalid(at.Child("path"), s.Path, "must be an absolute path"))
	}
	return errs
}
