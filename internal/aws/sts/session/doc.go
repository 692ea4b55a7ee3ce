// Package session makes the temporary credentials of STS and knows them again. A session is
// not stored: all that is known of it is sealed into its session token, which only the
// cluster's keys open and which ends by itself.
//
// It owns the sealing, the life of its keys, which it keeps in one Secret, and the look-up
// of the keys with which requests are signed, temporary and long-term ones. The signature is
// aws/sigv4's to verify, who may begin a session is aws/sts's to decide. Sessions end by the
// clock of tokens, which a test may move.
package session
