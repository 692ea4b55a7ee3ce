package policy

import "fmt"

// Malformed says in AWS's words why a document is refused. Its message is what IAM and STS
// answer with code MalformedPolicyDocument and status 400.
type Malformed struct {
	Message string
}

// Code is the code of the answer.
const Code = "MalformedPolicyDocument"

func (m *Malformed) Error() string { return m.Message }

func malformed(format string, args ...any) *Malformed {
	return &Malformed{fmt.Sprintf(format, args...)}
}

// InvalidPrincipal is the refusal of a trust policy that names what does not exist, or
// cannot. Which roles exist is the caller's to know: see Document.Principals.
func InvalidPrincipal(p TypedPrincipal) *Malformed {
	return malformed("Invalid principal in policy: \"%s\":\"%s\"", p.Type.upper(), p.Value)
}

// The texts of trust policies, which have a parser of their own.
const (
	trustJSON            = "This policy contains invalid Json"
	trustUnknown         = "Unknown field %s"
	trustVersion         = "The policy must contain a valid version string"
	trustEmpty           = "Could not parse the policy: Statement is empty!"
	trustSids            = "The Statement Ids in the policy are not unique"
	trustNoEffect        = "Missing required field Effect"
	trustEffect          = "Invalid effect: %s"
	trustNoPrincipal     = "Missing required field Principal"
	trustEmptyPrincipal  = "Missing required field Principal cannot be empty!"
	trustPrincipalObject = "Principal must be a JSON object."
	trustAllowNot        = "Allow with NotPrincipal is not allowed."
	trustNotPrincipal    = "AssumeRole policy must not contain NotPrincipal field."
	trustNoAction        = "Missing required field Action"
	trustAction          = "AssumeRole policy may only specify STS AssumeRole actions."
	trustResource        = "Has prohibited field Resource"
	trustNotResource     = "AssumeRole policy must not contain resources."
	trustPrefix          = "Invalid condition prefix"
	trustSyntax          = "Syntax error in policy."
	trustCognito         = "A condition block must be present for the Cognito provider"
	trustBuiltIn         = "Policy trusting %s requires a StringEquals condition on an application id"
	trustShared          = "Trust policy with trusted principal %s must evaluate, using StringEquals, StringLike or StringEqualsIgnoreCase, %s which is not scoped to all."
	trustFederated       = "Federated principals must be valid domain names or SAML metadata ARNs"
)

// The texts of identity and session policies.
const (
	identitySyntax     = "Syntax errors in policy."
	identityVersion    = "Policy document must be version 2012-10-17 or greater."
	identityLegacy     = "The policy failed legacy parsing"
	identityPrincipal  = "Policy document should not specify a principal."
	identitySidText    = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	identitySids       = "Statement IDs (SID) in a single policy must be unique."
	identityNoAction   = "Policy statement must contain actions."
	identityNoResource = "Policy statement must contain resources."
	identityVendor     = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	identityColons     = "Actions/Condition can contain only one colon."
	identityBadVendor  = "Vendor %s is not valid"
	resourceARN        = "Resource %s must be in ARN format or \"*\"."
	resourcePartition  = "Partition \"%s\" is not valid for resource \"%s\"."
	resourceVendor     = "Resource vendor must be fully qualified and cannot contain regexes."
	resourceIAMRegion  = "IAM resource %s cannot contain region information."
	resourceS3Region   = "Resource %s can not contain region information."
	resourceIAMPath    = "IAM resource path must either be \"*\" or start with %s."
	sessionJSON        = "The policy is not in the valid JSON format."
)
