// Package sts is AWS's Security Token Service, as far as roles for service accounts need
// it: AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity, GetAccessKeyInfo. It checks
// what AWS checks and answers as AWS answers. Beside that it does what the API of EKS does for
// pods that are to become the role of their association, AssumeRoleForPodIdentity.
//
// It owns these actions: their parameters, what a role's trust policy is asked, and what a
// session is begun with. The wire is aws/query's, tokens are checked by aws/sts/webidentity,
// credentials are made by aws/sts/session, policies decided by aws/policy, and why a call was
// refused is kept by aws/sts/explain; aws/sts/podagent is where pods ask. It knows issuers by
// their public discovery alone.
package sts
