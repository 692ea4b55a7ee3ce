package volumes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

func validateProjected(s *corev1.ProjectedVolumeSource, path *field.Path, o Options) field.ErrorList {
	errs := check.Mode(s.DefaultMode, path.Child("defaultMode"))
	errs = append(errs, check.Owner(s.DefaultUser, path.Child("defaultUser"))...)
	p := projection{volume: path, options: o, taken: map[string]bool{}}
	for i := range s.Sources {
		errs = append(errs, p.source(&s.Sources[i], path.Child("sources").Index(i))...)
	}
	return errs
}

// projection checks the sources of one projected volume, which share a directory.
type projection struct {
	volume  *field.Path
	options Options
	taken   map[string]bool
}

// take reserves a file path of the volume. owner is the value that the error
// names: the object of a secret or configMap source, else the path.
func (p *projection) take(file, owner string) field.ErrorList {
	if file == "" {
		return nil
	}
	if p.taken[file] {
		return field.ErrorList{field.Invalid(p.volume, owner, "conflicting duplicate paths")}
	}
	p.taken[file] = true
	return nil
}

func (p *projection) source(s *corev1.VolumeProjection, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	kinds := 0
	if s.Secret != nil {
		kinds++
		errs = append(errs, p.object(s.Secret.Name, s.Secret.Items, path.Child("secret"))...)
	}
	if s.ConfigMap != nil {
		kinds++
		errs = append(errs, p.object(s.ConfigMap.Name, s.ConfigMap.Items, path.Child("configMap"))...)
	}
	if s.DownwardAPI != nil {
		kinds++
		for i := range s.DownwardAPI.Items {
			file := &s.DownwardAPI.Items[i]
			errs = append(errs, validateDownwardFile(file, path.Child("downwardAPI"))...)
			errs = append(errs, p.take(file.Path, file.Path)...)
		}
	}
	if s.ServiceAccountToken != nil {
		kinds++
		errs = append(errs, p.token(s.ServiceAccountToken, path.Child("serviceAccountToken"))...)
	}
	if s.ClusterTrustBundle != nil {
		kinds++
		errs = append(errs, p.trustBundle(s.ClusterTrustBundle, path.Child("clusterTrustBundle"))...)
	}
	if s.PodCertificate != nil {
		kinds++
		errs = append(errs, p.certificate(s.PodCertificate, path.Child("podCertificate"))...)
	}
	if kinds > 1 {
		errs = append(errs, field.Forbidden(path, "may not specify more than 1 volume type per source"))
	}
	return errs
}

func (p *projection) object(name string, items []corev1.KeyToPath, path *field.Path) field.ErrorList {
	errs := check.Required(name, path.Child("name"))
	return append(errs, validateItems(items, path.Child("items"), func(file string) field.ErrorList {
		return p.take(file, name)
	})...)
}

const (
	minTokenSeconds = 10 * 60
	maxTokenSeconds = 1 << 32
)

// token reports path errors at the volume, as Kubernetes does.
func (p *projection) token(s *corev1.ServiceAccountTokenProjection, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var seconds int64
	if s.ExpirationSeconds != nil {
		seconds = *s.ExpirationSeconds
	}
	if seconds < minTokenSeconds {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"))
	}
	if seconds > maxTokenSeconds {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	at := p.volume.Child("path")
	if s.Path == "" {
		errs = append(errs, field.Required(at, ""))
	} else if !p.options.AnyTokenPath {
		errs = append(errs, check.VolumeFile(s.Path, at)...)
	}
	return append(errs, check.Owner(s.User, path.Child("user"))...)
}

func (p *projection) trustBundle(s *corev1.ClusterTrustBundleProjection, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case s.Name != nil && s.SignerName != nil:
		errs = append(errs, field.Invalid(path, s, "only one of name and signerName may be used"))
	case s.Name != nil:
		errs = append(errs, validateBundleName(*s.Name, path.Child("name"))...)
		if s.LabelSelector != nil {
			errs = append(errs, field.Invalid(path.Child("labelSelector"), s.LabelSelector, "labelSelector must be unset if name is specified"))
		}
	case s.SignerName != nil:
		if *s.SignerName == "" {
			errs = append(errs, field.Required(path.Child("signerName"), "must be a valid signer name"))
		}
		errs = append(errs, ValidateSignerName(*s.SignerName, path.Child("signerName"))...)
		errs = append(errs, metavalidation.ValidateLabelSelector(s.LabelSelector,
			metavalidation.LabelSelectorValidationOptions{}, path.Child("labelSelector"))...)
	default:
		errs = append(errs, field.Required(path, "either name or signerName must be specified"))
	}
	errs = append(errs, check.Required(s.Path, path.Child("path"))...)
	errs = append(errs, check.VolumeFile(s.Path, path.Child("path"))...)
	errs = append(errs, check.Owner(s.User, path.Child("user"))...)
	return append(errs, p.take(s.Path, s.Path)...)
}

const (
	minCertificateSeconds = 3600
	maxCertificateSeconds = 91 * 24 * 3600
	maxKubernetesSeconds  = 24 * 3600
)

func (p *projection) certificate(s *corev1.PodCertificateProjection, path *field.Path) field.ErrorList {
	errs := ValidateSignerName(s.SignerName, path.Child("signerName"))
	errs = append(errs, check.SupportedIfSet(path.Child("keyType"), &s.KeyType,
		"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")...)
	errs = append(errs, certificateLife(s, path.Child("maxExpirationSeconds"))...)
	if s.CredentialBundlePath == "" && s.KeyPath == "" && s.CertificateChainPath == "" {
		errs = append(errs, field.Required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
	for _, f := range []struct{ name, file string }{
		{"credentialBundlePath", s.CredentialBundlePath}, {"keyPath", s.KeyPath}, {"certificateChainPath", s.CertificateChainPath},
	} {
		errs = append(errs, check.VolumeFile(f.file, path.Child(f.name))...)
		errs = append(errs, p.take(f.file, f.file)...)
	}
	at := path.Child("userAnnotations")
	size := 0
	for key, value := range s.UserAnnotations {
		errs = append(errs, validation.IsDomainPrefixedKey(at.Key(key), key)...)
		size += len(key) + len(value)
	}
	if size > apivalidation.TotalAnnotationSizeLimitB {
		errs = append(errs, field.TooLong(at, "", apivalidation.TotalAnnotationSizeLimitB))
	}
	return append(errs, check.Owner(s.User, path.Child("user"))...)
}

func certificateLife(s *corev1.PodCertificateProjection, path *field.Path) field.ErrorList {
	if s.MaxExpirationSeconds == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	seconds := int64(*s.MaxExpirationSeconds)
	most := int64(maxCertificateSeconds)
	if domain, _, _ := strings.Cut(s.SignerName, "/"); domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") {
		most = maxKubernetesSeconds
	}
	switch {
	case seconds < minCertificateSeconds:
		return field.ErrorList{field.Invalid(path, seconds, fmt.Sprintf("if provided, maxExpirationSeconds must be >= %d", minCertificateSeconds))}
	case seconds > most:
		return field.ErrorList{field.Invalid(path, seconds, fmt.Sprintf("if provided, maxExpirationSeconds must be <= %d", most))}
	}
	return nil
}
