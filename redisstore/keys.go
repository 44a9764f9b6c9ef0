package redisstore

import (
	"strings"

	"github.com/sessionkv/session/driver"
)

// inSlot returns the parts of a key that follow the prefix. Those of an ID without a user are rest alone.
func inSlot(id string) (slot, user, end, rest string) {
	if user = driver.UserOf(id); user == "" {
		return "", "", "", id
	}
	return "{", user, "}", id[len(user):]
}

// besides is another key in the slot of the key of a value.
func besides(key, name string) string {
	slot, end := around(key)
	return slot + key + end + name
}

// around returns what stands before and behind the key of a value in that of another one in its slot. The prefix has no
// brace. Therefore a brace in the key belongs to a user.
func around(key string) (slot, end string) {
	if strings.Contains(key, "{") {
		return "", ":"
	}
	return "{", "}:"
}

// listName ends the key of a user's list. It stands where the key of a value has the member.
const listName = "user"

// A user is where it is stored what one user has.
type user struct {
	name  string
	slot  string // how all of its keys begin
	list  string // a sorted set of what stands in its IDs behind the colon, by when they were added
	stamp string
}

// member is the name of an ID in the list of its user. It is "" if the ID has no user.
func member(id string) string {
	user := driver.UserOf(id)
	if user == "" {
		return ""
	}
	return id[len(user)+1:]
}

// key is where the value of a member is stored.
func (u user) key(member string) string { return u.slot + member }

func (u user) id(member string) string { return u.name + ":" + member }

// ids are those of members, nil if there are none.
func (u user) ids(members []string) (ids []string) {
	for _, member := range members {
		ids = append(ids, u.id(member))
	}
	return ids
}
