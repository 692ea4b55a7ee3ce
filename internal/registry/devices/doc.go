// Package devices owns the kinds of resource.k8s.io/v1, by which drivers offer devices and
// pods ask for them: defaults, validation, tables and storage of DeviceClass, DeviceTaintRule,
// ResourceClaim, ResourceClaimTemplate and ResourceSlice.
//
// Nothing allocates devices here: objects are stored for what is installed, and a pod that
// names a claim waits. Expressions of selectors are bounded, not compiled; whoever allocates
// compiles them.
package devices

// unserved ends what is said of every object that is made.
const unserved = "nothing allocates devices in Laterna: the object is only stored, unless something that you install acts on it"
