package volumes_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

func TestProjectedVolumes(t *testing.T) {
	const p = v + ".projected"
	const s = p + ".sources[0]"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("the documents' example", projected("{secret: {name: mysecret, items: [{key: username, path: my-group/my-username}]}}, {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: cpu_limit, resourceFieldRef: {containerName: main, resource: limits.cpu}}]}}, {configMap: {name: c, items: [{key: config, path: my-group/my-config}]}}, {serviceAccountToken: {path: t, expirationSeconds: 7200, audience: vault}}")),
		wrong("an empty source", projected("{}")),
		wrong("no sources", volume("{name: p, projected: {}}")),
		wrong("mode", volume("{name: p, projected: {defaultMode: 512}}"), p+".defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive"),
		wrong("two kinds in one source", projected("{secret: {name: s}, configMap: {name: c}}"), s+": Forbidden: may not specify more than 1 volume type per source"),
		wrong("names", projected("{secret: {}}, {configMap: {}}"), s+".secret.name: Required value", p+".sources[1].configMap.name: Required value"),
		wrong("one path twice", projected("{secret: {name: s, items: [{key: a, path: x}]}}, {configMap: {name: c, items: [{key: a, path: x}]}}, {downwardAPI: {items: [{path: x, fieldRef: {fieldPath: metadata.name}}]}}"),
			p+`: Invalid value: "c": conflicting duplicate paths`, p+`: Invalid value: "x": conflicting duplicate paths`),
		wrong("a token's path is not compared", projected("{secret: {name: s, items: [{key: a, path: x}]}}, {serviceAccountToken: {path: x}}")),
		wrong("token", projected("{serviceAccountToken: {path: '', expirationSeconds: 599}}"),
			s+".serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes", p+".path: Required value"),
		wrong("token for ever", projected("{serviceAccountToken: {path: /t, expirationSeconds: 4294967297}}"),
			s+".serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
			p+`.path: Invalid value: "/t": must be a relative path`),
		wrong("limits of a token", projected("{serviceAccountToken: {path: a, expirationSeconds: 600}}, {serviceAccountToken: {path: b, expirationSeconds: 4294967296}}")),
		wrong("token without service account", "containers: [{name: a, image: i}]\nvolumes: [{name: p, projected: {sources: [{serviceAccountToken: {path: t}}]}}]",
			s+".serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set"),
		wrong("bundle by name", projected("{clusterTrustBundle: {name: 'a.b:c:d', path: p}}")),
		wrong("bundle by both", projected("{clusterTrustBundle: {name: nn, path: ''}}, {clusterTrustBundle: {path: q}}"),
			s+".clusterTrustBundle.path: Required value", p+".sources[1].clusterTrustBundle: Required value: either name or signerName must be specified"),
		wrong("bundle with a selector", projected("{clusterTrustBundle: {name: nn, path: p, labelSelector: {}}}"),
			s+".clusterTrustBundle.labelSelector: Invalid value: {}: labelSelector must be unset if name is specified"),
		wrong("bundle of a signer", projected("{clusterTrustBundle: {signerName: nodots/x, path: p, labelSelector: {matchExpressions: [{key: a, operator: X}]}}}"),
			s+`.clusterTrustBundle.signerName: Invalid value: "nodots": should be a domain with at least two segments separated by dots`,
			s+`.clusterTrustBundle.labelSelector.matchExpressions[0].operator: Invalid value: "X": not a valid selector operator`),
		wrong("certificate", projected("{podCertificate: {signerName: a.b/c, keyType: DSA, maxExpirationSeconds: 3599}}"),
			s+`.podCertificate.keyType: Unsupported value: "DSA": supported values: "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"`,
			s+".podCertificate.maxExpirationSeconds: Invalid value: 3599: if provided, maxExpirationSeconds must be >= 3600",
			s+".podCertificate: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath"),
		wrong("certificate of Kubernetes' own signers", projected("{podCertificate: {signerName: kubernetes.io/x, keyType: ED25519, keyPath: k, certificateChainPath: k, maxExpirationSeconds: 86401}}"),
			s+".podCertificate.maxExpirationSeconds: Invalid value: 86401: if provided, maxExpirationSeconds must be <= 86400",
			p+`: Invalid value: "k": conflicting duplicate paths`),
	)
}

func TestSourcesOfSigners(t *testing.T) {
	const bundle, certificate = v + ".projected.sources[0].clusterTrustBundle", v + ".projected.sources[0].podCertificate"
	long := strings.Repeat("a", 565) + ".b/c"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("bundle by name and signer", projected("{clusterTrustBundle: {name: nn, signerName: a.b/c, path: p}}"),
			bundle+`: Invalid value: {"name":"nn","signerName":"a.b/c","path":"p"}: only one of name and signerName may be used`),
		wrong("no name", projected("{clusterTrustBundle: {name: '', path: ../p}}"),
			bundle+".name: Required value: must be a valid object name",
			bundle+`.name: Invalid value: "": not a valid clustertrustbundlename: `+podspectest.Domain,
			bundle+`.path: Invalid value: "../p": must not contain '..'`),
		wrong("no path part", projected("{podCertificate: {signerName: a.b, keyType: ED25519, keyPath: k}}"),
			certificate+`.signerName: Invalid value: "a.b": must be a fully qualified domain and path of the form 'example.com/signer-name'`),
		wrong("a long signer", projected("{podCertificate: {signerName: "+long+", keyType: ED25519, keyPath: k}}"),
			certificate+`.signerName: Invalid value: "`+long[:567]+`": validating label "`+long[:565]+`": must be no more than 63 characters`),
		wrong("a life of 91 days", projected("{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, maxExpirationSeconds: 7862400}}")),
		wrong("a second more", projected("{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, maxExpirationSeconds: 7862401}}"),
			certificate+".maxExpirationSeconds: Invalid value: 7862401: if provided, maxExpirationSeconds must be <= 7862400"),
		wrong("annotation without a domain", projected("{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, userAnnotations: {plain: x}}}"),
			certificate+`.userAnnotations[plain]: Invalid value: "plain": must be a domain-prefixed key (such as "acme.io/foo")`),
		wrong("spellings of one path", projected("{secret: {name: s, items: [{key: a, path: a/./b}]}}, {configMap: {name: c, items: [{key: a, path: a//b}]}}")),
	)
}

func TestStoredTokenPaths(t *testing.T) {
	spec := podspectest.Parse[corev1.PodSpec](t, projected("{serviceAccountToken: {path: ../t}}"))
	podspec.SetDefaults(spec)
	if errs := podspec.ValidateSpec(spec, field.NewPath("spec"), podspec.Options{Pod: true, Volumes: volumes.Options{AnyTokenPath: true}}); len(errs) > 0 {
		t.Errorf("a stored path is refused: %v", errs)
	}
}

func TestRestOfSigners(t *testing.T) {
	const certificate = v + ".projected.sources[0].podCertificate"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("no signer", projected("{podCertificate: {keyType: ED25519, keyPath: k}}"), certificate+".signerName: Required value"),
		wrong("two slashes", projected("{podCertificate: {signerName: a.b/c/d, keyType: ED25519, keyPath: k}}"),
			certificate+`.signerName: Invalid value: "a.b/c/d": must be a fully qualified domain and path of the form 'example.com/signer-name'`),
		wrong("wrong labels", projected("{podCertificate: {signerName: A.b/C, keyType: ED25519, keyPath: k}}"),
			certificate+`.signerName: Invalid value: "A.b": validating label "A": `+podspectest.Label,
			certificate+`.signerName: Invalid value: "C": validating label "C": `+podspectest.Domain),
		wrong("as long as a day of Kubernetes", projected("{podCertificate: {signerName: a.kubernetes.io/c, keyType: ED25519, keyPath: k, maxExpirationSeconds: 86400}}")),
		wrong("a domain that only ends alike", projected("{podCertificate: {signerName: notkubernetes.io/c, keyType: ED25519, keyPath: k, maxExpirationSeconds: 86401}}")),
		wrong("files outside", projected("{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: ../k, credentialBundlePath: /b}}"),
			certificate+`.credentialBundlePath: Invalid value: "/b": must be a relative path`,
			certificate+`.keyPath: Invalid value: "../k": must not contain '..'`),
		wrong("a bundle of no signer", projected("{clusterTrustBundle: {signerName: '', path: p}}"),
			v+".projected.sources[0].clusterTrustBundle.signerName: Required value: must be a valid signer name",
			v+".projected.sources[0].clusterTrustBundle.signerName: Required value"),
	)
}

func TestVolumesOfNoKind(t *testing.T) {
	spec := podspectest.Parse[corev1.PodSpec](t, podspectest.With("volumes: [{name: a}]"))
	_, errs := volumes.Validate(spec.Volumes, field.NewPath("spec", "volumes"), volumes.Options{})
	podspectest.Compare(t, errs, []string{v + ": Required value: must specify a volume type"})
}

func TestNamesOfClaimsThatVolumesMake(t *testing.T) {
	list := podspectest.Parse[corev1.PodSpec](t, "volumes: [{name: a, ephemeral: {volumeClaimTemplate: {spec: {}}}}]").Volumes
	for name, want := range map[string][]string{
		"": nil, "pod": nil, "Pod": {v + `.ephemeral.name: Invalid value: "a": PVC name "Pod-a": ` + podspectest.Domain},
	} {
		_, errs := volumes.Validate(list, field.NewPath("spec", "volumes"), volumes.Options{PodName: name})
		podspectest.Compare(t, errs, want)
	}
}
