package hint

import (
	"fmt"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/policy"
)

// principal says why none of the principals is the one who asks.
func principal(d *policy.Decision, s *policy.StatementTrace) Hint {
	who := s.Principal.Request
	var federated, aws []string
	for _, p := range s.Principal.Policy {
		switch p.Type {
		case policy.Federated:
			federated = append(federated, p.Value)
		case policy.AWS:
			aws = append(aws, p.Value)
		}
	}
	if who.Federated != "" {
		return provider(who.Federated, federated, aws)
	}
	return awsPrincipal(d, who, aws, s.Principal.Policy)
}

// provider compares the provider of a web identity with those that the policy names.
func provider(who string, federated, aws []string) Hint {
	if len(federated) == 0 {
		if len(aws) > 0 {
			return Hint{Code: StarNoWeb, Text: fmt.Sprintf(`The statement names "AWS" principals, which lets no web identity in, not even by "*": write "Federated": %s.`, quote(who))}
		}
		return Hint{Code: ProviderDiffers, Text: fmt.Sprintf("The statement names no identity provider; the token's is %s.", quote(who))}
	}
	for _, p := range federated {
		if h, ok := nearProvider(p, who); ok {
			return h
		}
	}
	nearest, _ := Nearest(who, federated)
	return Hint{Code: ProviderDiffers, Text: fmt.Sprintf("The policy trusts provider %s; the token's is %s.", quote(nearest), quote(who))}
}

func nearProvider(p, who string) (Hint, bool) {
	be := fmt.Sprintf("the policy names provider %s; the token's is %s", quote(p), quote(who))
	mine, err := arn.ParseProvider(who)
	if err != nil {
		return Hint{}, false
	}
	bare := strings.TrimPrefix(p, "https://")
	if bare == mine.Issuer {
		return Hint{Code: ProviderNotARN, Text: "The provider's ARN is wanted, not the issuer: " + be + "."}, true
	}
	named, err := arn.ParseProvider(p)
	if err != nil {
		return Hint{}, false
	}
	switch {
	case strings.TrimPrefix(named.Issuer, "https://") == mine.Issuer && named.Issuer != mine.Issuer:
		return Hint{Code: ProviderScheme, Text: "The ARN of a provider has no https://: " + be + "."}, true
	case named.Issuer == mine.Issuer:
		return Hint{Code: ProviderAccount, Text: "The provider must be of the role's own account and partition: " + be + "."}, true
	case strings.TrimSuffix(named.Issuer, "/") == strings.TrimSuffix(mine.Issuer, "/"):
		return Hint{Code: ProviderSlash, Text: "Only a trailing slash differs, which counts: " + be + "."}, true
	case strings.EqualFold(named.Issuer, mine.Issuer):
		return Hint{Code: ProviderCase, Text: "Only letter case differs, which counts: " + be + "."}, true
	}
	return Hint{}, false
}

// awsPrincipal compares a user, role or session with those that the policy names.
func awsPrincipal(d *policy.Decision, who policy.Principal, named []string, all []policy.TypedPrincipal) Hint {
	if who.RoleARN != "" && who.RoleARN == d.Resource {
		return Hint{Code: SelfAssume, Text: fmt.Sprintf("A role may assume itself only where its trust policy names it: add %s to the principals.", quote(who.RoleARN))}
	}
	for _, n := range named {
		switch {
		case strings.EqualFold(n, who.ARN) || who.RoleARN != "" && strings.EqualFold(n, who.RoleARN):
			return Hint{Code: PrincipalCase, Text: fmt.Sprintf("Only letter case differs, which counts: the policy names %s; the caller is %s.", quote(n), quote(caller(who)))}
		case samePathless(n, who.RoleARN):
			return Hint{Code: RolePath, Text: fmt.Sprintf("The path of the role belongs to its ARN: the policy names %s; the caller's role is %s.", quote(n), quote(who.RoleARN))}
		}
	}
	for _, n := range named {
		if strings.HasPrefix(n, "AROA") || strings.HasPrefix(n, "AIDA") {
			return Hint{Code: PrincipalGone, Text: fmt.Sprintf("The policy names %s, the id of a role or user that is not the caller, most likely deleted: write the ARN of the one that is meant.", quote(n))}
		}
	}
	values := make([]string, len(all))
	for i, p := range all {
		values[i] = p.Value
	}
	return Hint{Code: PrincipalDiffers, Text: fmt.Sprintf("The policy names %s; the caller is %s. A role that was deleted and made again under its name is another one: store the policy again to trust it.", list(values), quote(caller(who)))}
}

func caller(p policy.Principal) string {
	switch {
	case p.RoleARN != "":
		return p.RoleARN
	case p.Service != "":
		return p.Service
	}
	return p.ARN
}

// samePathless tells whether two ARNs are of roles of one name that differ in the path.
func samePathless(a, b string) bool {
	x, err := arn.ParseRole(a)
	y, err2 := arn.ParseRole(b)
	return err == nil && err2 == nil && x.Owner == y.Owner && x.Name == y.Name && x.Path != y.Path
}
