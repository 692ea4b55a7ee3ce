package podsecurity

// APIVersion is the version that counts go by.
var APIVersion = apiVersion.String()
