//! Orders as an operator gives them: to whom, what they leave, how long they last, and that nothing forgets them.

mod whom;
