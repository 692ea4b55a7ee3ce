package registry

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/autoscaling/horizontalpodautoscaler"
	"laterna.dev/laterna/internal/registry/certificates/certificatesigningrequest"
	"laterna.dev/laterna/internal/registry/certificates/clustertrustbundle"
	"laterna.dev/laterna/internal/registry/certificates/podcertificaterequest"
	"laterna.dev/laterna/internal/registry/core/persistentvolume"
	"laterna.dev/laterna/internal/registry/devices"
	"laterna.dev/laterna/internal/registry/resource"
)

// The kinds of the table that nothing here acts on, and that need more than the store to
// be written: a clock, or somebody who decides.

func persistentVolumes() Served {
	return storedWith(func(p Parts) resource.Definition[*corev1.PersistentVolume] {
		return persistentvolume.Definition(p.Wall)
	})
}

func deviceTaintRules() Served {
	return storedWith(func(p Parts) resource.Definition[*resourcev1.DeviceTaintRule] { return devices.TaintRules(p.Wall) })
}

func resourceSlices() Served {
	return storedWith(func(p Parts) resource.Definition[*resourcev1.ResourceSlice] { return devices.Slices(p.Wall) })
}

// olderAutoscalers are those of version v2, converted.
func olderAutoscalers() Served {
	newer := horizontalpodautoscaler.Definition()
	return Served{Resource: newer.Plural, Register: horizontalpodautoscaler.RegisterOlder, Storages: func(b *Builder) (map[string]rest.Storage, error) {
		all := map[string]rest.Storage{}
		for _, path := range []string{newer.Plural, newer.Plural + "/status"} {
			var err error
			if all[path], err = b.at(newer.GroupVersion.WithResource(newer.Plural), path); err != nil {
				return nil, err
			}
		}
		return all, nil
	}}
}

func clusterTrustBundles() Served {
	return storedWith(func(p Parts) resource.Definition[*certificatesv1.ClusterTrustBundle] {
		return clustertrustbundle.Definition(p.Authorizer)
	})
}

func podCertificateRequests() Served {
	return storedWith(func(p Parts) resource.Definition[*certificatesv1.PodCertificateRequest] {
		return podcertificaterequest.Definition(podcertificaterequest.Config{Authorizer: p.Authorizer, Wall: p.Wall})
	})
}

// certificateSigningRequests have a subresource for those who approve.
func certificateSigningRequests() Served {
	plain := certificatesigningrequest.Definition(certificatesigningrequest.Config{})
	return own(plain, func(b *Builder) (map[string]rest.Storage, error) {
		c := certificatesigningrequest.Config{Authorizer: b.Authorizer, Wall: b.Wall}
		all, err := certificatesigningrequest.Definition(c).Storages(b.Env)
		if err != nil {
			return nil, err
		}
		store, err := as[*resource.Store[*certificatesv1.CertificateSigningRequest]](certificatesv1.Resource(plain.Plural), all[plain.Plural])
		if err != nil {
			return nil, err
		}
		all[plain.Plural+"/"+certificatesigningrequest.Approval] = store.Subresource(certificatesigningrequest.ApprovalRules(c))
		return all, nil
	})
}
