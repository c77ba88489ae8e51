// What a point says, beside the pointer, the finger or the keyboard's focus. Without scripts the titles do it.
(function () {
  var tip = document.getElementById('tip');
  function show(mark) {
    tip.textContent = mark.getAttribute('data-tip');
    var box = mark.getBoundingClientRect();
    var left = box.left + window.scrollX + 12;
    var room = document.documentElement.clientWidth + window.scrollX - tip.offsetWidth - 8;
    tip.style.left = Math.max(window.scrollX + 4, Math.min(left, room)) + 'px';
    tip.style.top = (box.top + window.scrollY - tip.offsetHeight - 6) + 'px';
    tip.style.visibility = 'visible';
  }
  function hide() { tip.style.visibility = 'hidden'; }
  document.querySelectorAll('[data-tip]').forEach(function (mark) {
    var title = mark.querySelector('title');
    if (title) { mark.removeChild(title); }
    mark.addEventListener('mouseenter', function () { show(mark); });
    mark.addEventListener('focus', function () { show(mark); });
    mark.addEventListener('click', function (event) { event.stopPropagation(); show(mark); });
    mark.addEventListener('mouseleave', hide);
    mark.addEventListener('blur', hide);
  });
  document.addEventListener('click', hide);
})();
