package recipes

import "github.com/sessionkv/session"

const flash = session.Key[[]string]("flash")

// addFlash keeps a message for the next page.
func addFlash(s *session.Session, message string) error {
	return flash.Update(s, func(all []string) []string { return append(all, message) })
}

// flashes returns the messages, and removes them.
func flashes(s *session.Session) []string {
	all, _ := flash.Pop(s)
	return all
}
