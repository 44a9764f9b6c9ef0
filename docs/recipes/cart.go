package recipes

import (
	"net/http"

	"github.com/sessionkv/session"
)

// cart is how many of each item the visitor wants.
const cart = session.Key[map[string]int]("cart")

func addToCart(exists func(item string) bool) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		item := r.PostFormValue("item")
		if !exists(item) { // or the session would hold whatever visitors invent
			http.Error(w, "no such item", http.StatusNotFound)
			return
		}
		err := cart.Update(s, func(items map[string]int) map[string]int {
			if items == nil { // the visitor's first item
				items = map[string]int{}
			}
			items[item]++
			return items
		})
		if err != nil {
			http.Error(w, "not added", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/cart", http.StatusSeeOther)
	}
}
