// Package podagent answers pods that ask for the credentials of their role at
// http://169.254.170.23/v1/credentials, as the Amazon EKS Pod Identity Agent does.
//
// It owns that wire, which is plain HTTP: the token in the request is who asks, and nobody is
// answered without one. Whose the token is and what role it stands for is aws/sts's to say,
// how packets get here internal/network/plane's.
package podagent
