package node

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
)

// userPrefix stands before a node's name in the name of its user.
const userPrefix = "system:node:"

// Group is the group that a node's user must be in.
const Group = user.NodesGroup

// UserName returns the name of the user that a node is.
func UserName(node string) string { return userPrefix + node }

// Name returns the name of the node that u is; ok tells whether u is a node at all: by
// its name and its group, as either alone can be given to others. A node without a name
// may do nothing.
func Name(u user.Info) (name string, ok bool) {
	if u == nil || !slices.Contains(u.GetGroups(), Group) {
		return "", false
	}
	return NameOf(u.GetName())
}

// NameOf returns the node that a user name is of, as UserName makes it; the name alone does
// not make a node.
func NameOf(user string) (node string, ok bool) { return strings.CutPrefix(user, userPrefix) }
