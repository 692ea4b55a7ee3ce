package compat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// awsCLI is the AWS command line of Debian, which knows endpoints by a flag alone.
const awsCLI = "/usr/bin/aws"

// awsUser is whose keys the command line has.
type awsUser struct {
	s *system
	// exports are what the user sets before.
	exports string
}

// awsAccount prepares an account by `laterna aws init` and returns its administrator.
func (s *system) awsAccount(t testing.TB, account, flags string) awsUser {
	t.Helper()
	var made struct {
		Key struct {
			Name string `json:"name"`
		} `json:"accessKey"`
		Secret string `json:"secretAccessKey"`
	}
	out := s.sh(t, `laterna aws init --data-dir "$LATERNA_DATA_DIR" -o json --account `+account+" "+flags)
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Secret == "" {
		t.Fatalf("%v\n%s", err, out)
	}
	return s.awsUser(made.Key.Name, made.Secret, "")
}

func (s *system) awsUser(id, secret, token string) awsUser {
	return awsUser{s, "export AWS_DEFAULT_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true AWS_PAGER= AWS_CA_BUNDLE=" + filepath.Join(s.Dir, "pki", "ca.crt") +
		" AWS_ACCESS_KEY_ID=" + id + " AWS_SECRET_ACCESS_KEY='" + secret + "'" + " AWS_SESSION_TOKEN='" + token + "' HOME=/nonexistent; "}
}

// line is a call of the command line.
func (u awsUser) line(args string) string {
	return u.exports + awsCLI + " --output json --endpoint-url https://" + u.s.Listen + "/aws/ " + args
}

func (u awsUser) does(t testing.TB, args string) string {
	t.Helper()
	return u.s.sh(t, u.line(args))
}

// refused has a call fail with a code and a text.
func (u awsUser) refused(t testing.TB, code, text, args string) {
	t.Helper()
	contains(t, u.s.fails(t, u.line(args)), "An error occurred ("+code+") when calling the ", " operation: "+text)
}

// assume becomes a role by a token of a service account.
func (s *system) assume(t testing.TB, role, namespace, serviceAccount string) awsUser {
	t.Helper()
	token := strings.TrimSpace(s.sh(t, "kubectl create token -n "+namespace+" "+serviceAccount+" --audience sts.amazonaws.com"))
	out := s.awsUser("", "", "").does(t, "sts assume-role-with-web-identity --role-session-name test --role-arn "+role+" --web-identity-token "+token)
	var answer struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := answer.Credentials
	return s.awsUser(c.AccessKeyId, c.SecretAccessKey, c.SessionToken)
}

// TestE8RoleMayDoWhatItsPoliciesSay has a service account's role read a role of IAM, which
// its policy allows, and list them, which it does not.
func TestE8RoleMayDoWhatItsPoliciesSay(t *testing.T) {
	t.Parallel()
	s := started(t, "--node=false")
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.sh(t, "kubectl create serviceaccount app")
	admin := s.awsAccount(t, "111122223333", "--service-account default/app --role app --annotate --policy-file "+policy)
	const arn = "arn:aws:iam::111122223333:role/app"
	contains(t, s.sh(t, `kubectl get sa app -o yaml`), "eks.amazonaws.com/role-arn: "+arn)
	role := s.assume(t, arn, "default", "app")
	contains(t, role.does(t, "iam get-role --role-name app"), `"Arn": "`+arn+`"`, `"Federated": "arn:aws:iam::111122223333:oidc-provider/kubernetes.default.svc"`)
	denied := "User: arn:aws:sts::111122223333:assumed-role/app/test is not authorized to perform: iam:ListRoles on resource: arn:aws:iam::111122223333:role/"
	role.refused(t, "AccessDenied", denied+" because no identity-based policy allows the iam:ListRoles action", "iam list-roles")

	// Policies count at once, also for sessions that run.
	admin.does(t, `iam put-role-policy --role-name app --policy-name deny --policy-document '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:*","Resource":"*"}}'`)
	role.refused(t, "AccessDenied", "User: arn:aws:sts::111122223333:assumed-role/app/test is not authorized to perform: iam:GetRole on resource: role app with an explicit deny in an identity-based policy", "iam get-role --role-name app")
	s.sh(t, "kubectl delete iamrole 111122223333:app")
	role.refused(t, "InvalidClientTokenId", "The security token included in the request is invalid", "iam get-role --role-name app")
}

// TestIAMSpeaksToTheAWSCommandLine shows objects of kubectl to the command line, and those
// of the command line to kubectl.
func TestIAMSpeaksToTheAWSCommandLine(t *testing.T) {
	t.Parallel()
	s := started(t, "--node=false")
	u := s.awsAccount(t, "111122223333", "")
	const trust = `'{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}]}'`
	contains(t, u.does(t, "iam create-role --role-name Deployer --path /ci/ --tags Key=team,Value=blue --assume-role-policy-document "+trust),
		`"Arn": "arn:aws:iam::111122223333:role/ci/Deployer"`, `"RoleId": "AROA`, `"Key": "team"`, `"AWS": "111122223333"`)
	contains(t, s.sh(t, "kubectl get roles.iam.laterna.dev"), "111122223333:deployer", "arn:aws:iam::111122223333:role/ci/Deployer")
	u.refused(t, "EntityAlreadyExists", "Role with name DEPLOYER already exists.", "iam create-role --role-name DEPLOYER --assume-role-policy-document "+trust)
	u.refused(t, "MalformedPolicyDocument", "This policy contains invalid Json", "iam update-assume-role-policy --role-name Deployer --policy-document '{'")

	contains(t, s.sh(t, "kubectl apply -f ../../docs/examples/iam.yaml"), "role.iam.laterna.dev/111122223333:app created")
	contains(t, u.does(t, "iam get-role --role-name app"), `"RoleName": "App"`, `"kubernetes.default.svc:sub": "system:serviceaccount:default:app"`)
	u.does(t, "iam attach-role-policy --role-name deployer --policy-arn arn:aws:iam::111122223333:policy/ReadRoles")
	contains(t, u.does(t, "iam list-attached-role-policies --role-name Deployer"), `"PolicyName": "ReadRoles"`)
	provider := "--open-id-connect-provider-arn arn:aws:iam::111122223333:oidc-provider/kubernetes.default.svc"
	u.does(t, "iam add-client-id-to-open-id-connect-provider --client-id b "+provider)
	contains(t, u.does(t, "iam get-open-id-connect-provider "+provider), `"Url": "kubernetes.default.svc"`, `"sts.amazonaws.com",`, `"b"`)
	contains(t, s.sh(t, "kubectl get oidcprovider 111122223333:kubernetes.default.svc -o yaml"), "clientIDs:\n  - sts.amazonaws.com\n  - b\n")
	u.refused(t, "DeleteConflict", "Cannot delete entity, must detach all policies first.", "iam delete-role --role-name Deployer")

	contains(t, s.fails(t, u.line("iam list-roles --no-sign-request")), "(MissingAuthenticationToken)", "Request is missing Authentication Token")
	u.refused(t, "InvalidAction", "Could not find operation ListUsers for version 2010-05-08", "iam list-users")
	other := s.awsAccount(t, "444455556666", "")
	contains(t, other.does(t, "iam list-roles"), `"Roles": []`)
}

// TestIAMObjectsAreForClusterAdministrators asks for what default roles may do with them.
func TestIAMObjectsAreForClusterAdministrators(t *testing.T) {
	t.Parallel()
	s := started(t, "--node=false")
	s.sh(t, "kubectl create clusterrolebinding all-of-admin --clusterrole=admin --user=jane")
	for _, resource := range []string{"roles", "policies", "openidconnectproviders"} {
		for _, who := range []string{"--as=jane", "--as=system:serviceaccount:default:default --as-group=system:serviceaccounts", "--as=system:node:n --as-group=system:nodes"} {
			for _, verb := range []string{"get", "create"} {
				contains(t, s.fails(t, "kubectl auth can-i "+verb+" "+resource+".iam.laterna.dev "+who), "no")
			}
		}
	}
	contains(t, s.sh(t, "kubectl get roles -n kube-system"), "extension-apiserver-authentication-reader")
	contains(t, s.fails(t, `kubectl create -f - <<<'{"apiVersion": "iam.laterna.dev/v1alpha1", "kind": "Role", "metadata": {"name": "1:a"}}'`),
		`spec.account: Invalid value: "1": must be twelve digits`, "spec.assumeRolePolicyDocument: Required value: the policy as JSON")
}
