package atomicdir

// OpenWith is Open with a hook ahead of every call, for the tests outside.
var OpenWith = open
