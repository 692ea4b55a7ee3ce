package policy

import (
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
)

// iamResources are the paths with which resources of IAM begin, in IAM's order.
var iamResources = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/",
	"sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/",
}

// checkResources returns the first thing that is wrong with the resources of the document.
// Those of a list are looked at in byte order.
func (d *Document) checkResources() *Malformed {
	for _, s := range d.statements {
		for _, r := range slices.Sorted(slices.Values(s.resources.texts)) {
			if bad := checkResource(r); bad != nil {
				return bad
			}
		}
		for _, r := range s.resources.texts {
			r = maskVariables(r)
			if r != "*" && (strings.Count(r, ":") < 5 && strings.Contains(r, "::") || strings.Split(r, ":")[2] == "") {
				return malformed(identityLegacy)
			}
		}
	}
	return nil
}

func checkResource(r string) *Malformed {
	if r == "*" {
		return nil
	}
	parts := strings.SplitN(maskVariables(r), ":", 6)
	if len(parts) == 1 {
		return malformed(resourceARN, r)
	}
	if !validPartition(parts[1]) {
		full := append(slices.Clone(parts), "*", "*", "*", "*")[:6]
		if full[2] == "" && len(parts) == 3 {
			full[2] = "*"
		}
		full[0] = "arn"
		return malformed(resourcePartition, parts[1], strings.Join(full, ":"))
	}
	if len(parts) == 2 {
		return malformed(resourceVendor)
	}
	service, region := parts[2], ""
	if strings.ContainsAny(service, "*?") {
		return malformed(resourceVendor)
	}
	if len(parts) > 3 {
		region = parts[3]
	}
	switch {
	case service == "iam" && region != "":
		return malformed(resourceIAMRegion, r)
	case service == "s3" && region != "":
		return malformed(resourceS3Region, r)
	case service == "iam" && len(parts) == 6 && !validIAMResource(parts[5]):
		return malformed(resourceIAMPath, strings.Join(iamResources, ", "))
	}
	return nil
}

// maskVariables puts a dollar sign in place of each variable, whose key may hold colons.
func maskVariables(s string) string {
	for {
		before, rest, ok := strings.Cut(s, "${")
		_, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			return s
		}
		s = before + "$" + after
	}
}

func validPartition(s string) bool {
	return arn.ValidPartition(strings.NewReplacer("*", "", "?", "").Replace(s)) || s == "*"
}

// validIAMResource tells whether s begins as a resource of IAM does. A wildcard or a
// variable may stand for the beginning.
func validIAMResource(s string) bool {
	if s == "*" {
		return true
	}
	return slices.ContainsFunc(iamResources, func(p string) bool {
		if strings.HasPrefix(s, p) {
			return true
		}
		i := strings.IndexAny(s, "*?$")
		return i > 0 && strings.HasPrefix(p, s[:i])
	})
}
