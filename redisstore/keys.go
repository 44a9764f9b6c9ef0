package redisstore

import (
	"strings"

	"github.com/sessionkv/session/driver"
)

// key is where the value of an ID is stored. All keys of one user are in one slot of a Redis Cluster, which the text in
// braces decides.
func (s *Store) key(id string) string {
	user := driver.UserOf(id)
	if user == "" {
		return s.prefix + id
	}
	return s.prefix + "{" + user + "}" + id[len(user):]
}

// besides is another key in the slot of the key of a value. The prefix has no brace. Therefore a brace in the key
// belongs to a user.
func besides(key, name string) string {
	if strings.Contains(key, "{") {
		return key + ":" + name
	}
	return "{" + key + "}:" + name
}

// address is the key of an ID for a Client, which may have to choose a server. The pool of this package has one server,
// and looks at no key.
func (s *Store) address(id string) string {
	if s.own != nil {
		return ""
	}
	return s.key(id)
}

// A user is where it is stored what one user has.
type user struct {
	name  string
	slot  string // how all of its keys begin
	list  string // a sorted set of what stands in its IDs behind the colon, by when they were added
	stamp string
}

func (s *Store) user(name string) user {
	slot := s.prefix + "{" + name + "}:"
	return user{name, slot, slot + listName, slot + "stamp"}
}

// userOf is the user of an ID that has one.
func (s *Store) userOf(id string) user { return s.user(driver.UserOf(id)) }

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
