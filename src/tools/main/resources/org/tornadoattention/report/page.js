// What a point says, beside the pointer, the finger or the keyboard's focus. Without scripts the titles do it.
(function () {
  const tip = document.getElementById('tip');
  document.querySelectorAll('[data-tip] > title').forEach(function (title) { title.parentNode.removeChild(title); });
  function show(mark) {
    tip.textContent = mark.getAttribute('data-tip');
    const box = mark.getBoundingClientRect();
    const left = box.left + window.scrollX + 12;
    const room = document.documentElement.clientWidth + window.scrollX - tip.offsetWidth - 8;
    tip.style.left = Math.max(window.scrollX + 4, Math.min(left, room)) + 'px';
    tip.style.top = (box.top + window.scrollY - tip.offsetHeight - 6) + 'px';
    tip.style.visibility = 'visible';
  }
  function at(event) {
    const mark = event.target.closest ? event.target.closest('[data-tip]') : null;
    if (mark) { show(mark); } else { tip.style.visibility = 'hidden'; }
  }
  ['mouseover', 'focusin', 'click'].forEach(function (kind) { document.addEventListener(kind, at); });
  document.addEventListener('focusout', function () { tip.style.visibility = 'hidden'; });
})();
