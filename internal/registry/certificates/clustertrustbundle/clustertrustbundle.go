// Package clustertrustbundle owns the ClusterTrustBundle kind of certificates.k8s.io/v1: who
// may attest for a signer, validation, table and storage. Volumes do not project bundles yet;
// pods that ask for one wait.
package clustertrustbundle

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"laterna.dev/laterna/internal/registry/certificates/signers"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
	"laterna.dev/laterna/internal/registry/resource"
)

type bundle = certificatesv1.ClusterTrustBundle

const plural = "clustertrustbundles"

// Unprojected is what is said of every bundle that is made.
const Unprojected = "spec.trustBundle: volumes of Laterna do not project trust bundles yet: the object is only stored"

// Definition describes bundles. a decides who attests for a signer.
func Definition(a authorizer.Authorizer) resource.Definition[*bundle] {
	attest := func(ctx context.Context, b *bundle) error {
		if b.Spec.SignerName == "" {
			return nil
		}
		return signers.Permit(ctx, a, signers.Attest, b.Spec.SignerName, certificatesv1.Resource(plural), b.Name, "user not permitted to attest for signerName")
	}
	return resource.Definition[*bundle]{
		GroupVersion: certificatesv1.SchemeGroupVersion,
		Plural:       plural,
		Singular:     "clustertrustbundle",
		New:          func() *bundle { return &bundle{} },
		NewList:      func() runtime.Object { return &certificatesv1.ClusterTrustBundleList{} },
		Rules: resource.Rules[*bundle]{
			ValidName: func(string, bool) []string { return nil }, // which name is right the spec says
			Validate:  func(_ context.Context, b *bundle) field.ErrorList { return append(validate(b), validateBundle(b)...) },
			ValidateUpdate: func(_ context.Context, b, old *bundle) field.ErrorList {
				errs := validate(b)
				if b.Spec.TrustBundle != old.Spec.TrustBundle {
					errs = append(errs, validateBundle(b)...)
				}
				return append(errs, apivalidation.ValidateImmutableField(b.Spec.SignerName, old.Spec.SignerName, signerName)...)
			},
			WarnCreate:             resource.OnlyStored[*bundle](Unprojected),
			RequireResourceVersion: true,
		},
		PermitCreate: attest,
		Permit:       func(ctx context.Context, b, _ *bundle) error { return attest(ctx, b) },
		Columns: resource.Columns[*bundle]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "SignerName", Type: "string", Description: certificatesv1.ClusterTrustBundleSpec{}.SwaggerDoc()["signerName"]},
			},
			Row: func(b *bundle) []any {
				signer := b.Spec.SignerName
				if signer == "" {
					signer = "<none>"
				}
				return []any{b.Name, signer}
			},
		},
		Fields:        func(b *bundle) fields.Set { return fields.Set{"spec.signerName": b.Spec.SignerName} },
		ReturnDeleted: true,
	}
}

var signerName = field.NewPath("spec", "signerName")

// validate checks signer and name: the bundles of a signer begin with its name.
func validate(b *bundle) (errs field.ErrorList) {
	rest, signer, at := b.Name, b.Spec.SignerName, field.NewPath("metadata", "name")
	if signer != "" {
		errs = volumes.ValidateSignerName(signer, signerName)
		prefix := strings.ReplaceAll(signer, "/", ":") + ":"
		var has bool
		if rest, has = strings.CutPrefix(b.Name, prefix); !has {
			return append(errs, field.Invalid(at, b.Name, fmt.Sprintf("ClusterTrustBundle for signerName %s must be named with prefix %s", signer, prefix)))
		}
	} else if strings.Contains(b.Name, ":") {
		return field.ErrorList{field.Invalid(at, b.Name, `ClusterTrustBundle without signer name must not have ":" in its name`)}
	}
	return append(errs, check.Messages(apivalidation.NameIsDNSSubdomain(rest, false), b.Name, at)...)
}

// largest is how large a bundle may be.
const largest = 1 << 20

func validateBundle(b *bundle) (errs field.ErrorList) {
	at, rest := field.NewPath("spec", "trustBundle"), []byte(b.Spec.TrustBundle)
	if len(rest) > largest {
		return field.ErrorList{field.TooLong(at, "", largest)}
	}
	wrong := func(format string, args ...any) {
		errs = append(errs, field.Invalid(at, "<value omitted>", fmt.Sprintf(format, args...)))
	}
	anchors, order := map[string][]int{}, []string{}
	for i := 0; ; i++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if problem := problemOf(block); problem != "" {
			wrong("entry %d %s", i, problem)
			continue
		}
		key := string(block.Bytes)
		if anchors[key] == nil {
			order = append(order, key)
		}
		anchors[key] = append(anchors[key], i)
	}
	if len(errs) > 0 {
		return errs
	}
	if len(anchors) == 0 {
		wrong("at least one trust anchor must be provided")
	}
	for _, key := range order {
		if len(anchors[key]) > 1 {
			wrong("duplicate trust anchor (indices %v)", anchors[key])
		}
	}
	return errs
}

// problemOf says why a block is no trust anchor.
func problemOf(b *pem.Block) string {
	if b.Type != "CERTIFICATE" {
		return "has bad block type: " + b.Type
	}
	if len(b.Headers) > 0 {
		return "has PEM block headers"
	}
	c, err := x509.ParseCertificate(b.Bytes)
	switch {
	case err != nil:
		return "does not parse as X.509"
	case !c.IsCA:
		return "does not have the CA bit set"
	case !c.BasicConstraintsValid:
		return "has invalid basic constraints"
	}
	return ""
}
