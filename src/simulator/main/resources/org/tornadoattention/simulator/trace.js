// Draws what is in `trace`. A step is [place, caller, access, array, bytes, mask, cost, fewest, ways, delta, offsets…].
(function () {
  const BANKS = 32, ROW = 128, SECTOR = 32, WARP = 32, MOST_ROWS = 16;
  const ACCESS = [['reads', true], ['writes', true], ['changes atomically', true],
    ['reads', false], ['writes', false], ['changes atomically', false]];
  const WIDTH = 440, LEFT = 44, UNIT = (WIDTH - LEFT) / ROW, HIGH = 13;
  const ROLES = [['m, the largest score so far', /^(m|max|rowMax)$/], ['l, the sum so far', /^(l|sum|rowSum)$/],
    ['O, the weighted sum of values so far', /^(o|sums|o…|oLeft…|oRight…)$/]];
  const groupSize = trace.group[0] * trace.group[1] * trace.group[2];
  const $ = id => document.getElementById(id);
  const state = {group: 0, phase: 0, warp: 0, step: 0, turn: 1, item: 0, timer: null};

  const text = value => String(value).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
  const many = (count, one, more) => count.toLocaleString('en') + ' ' + (count === 1 ? one : more || one + 's');
  const colour = item => 'hsl(' + Math.round(310 * item / Math.max(1, groupSize)) + ' 68% var(--lane))';
  const tuple = id => id[2] ? '(' + id.join(', ') + ')' : id[1] || trace.grid[1] > 1 ? '(' + id[0] + ', ' + id[1] + ')' : String(id[0]);
  const itemName = item => {
    const x = item % trace.group[0], y = Math.floor(item / trace.group[0]) % trace.group[1];
    return trace.group[1] * trace.group[2] === 1 ? String(item) : '(' + x + ', ' + y + ')';
  };
  const number = value => value === null || value === undefined ? '–'
    : Math.abs(value) >= 1e6 || value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : String(+value.toPrecision(4));

  const group = () => trace.groups[state.group];
  const phase = () => group().phases[state.phase];
  const isGlobal = step => ACCESS[step[2]][1];
  const array = step => (isGlobal(step) ? trace.global : trace.local)[step[3]] || {name: 'array ' + step[3], bytes: step[4], elements: 0, offset: 0};
  const isBad = step => isGlobal(step) ? step[6] > 2 * step[7] : step[6] > step[7];

  /** The steps of a warp in a phase: of a loop each once, with its number of turns. */
  function steps(inPhase, warp) {
    const list = [];
    (inPhase.warps[warp] || []).forEach(run => {
      for (let i = 1; i < run.length; i++) { list.push({step: run[i], turns: run[0], body: run.length - 1}); }
    });
    return list;
  }

  /** Lanes and the first byte of each, in a turn from 1 on. */
  function touched(step, turn) {
    const moved = (turn - 1) * step[9], lanes = [];
    let at = 0;
    for (let lane = 0; lane < WARP; lane++) {
      if (step[5] / Math.pow(2, lane) & 1) {
        const offset = Array.isArray(step[10]) ? step[10][at] : step[10] + at * step[11];
        lanes.push([lane, offset + moved]);
        at++;
      }
    }
    return lanes;
  }

  const element = (step, offset) => (offset - (isGlobal(step) ? trace.header : array(step).offset)) / array(step).bytes;

  /** The line of the kernel at which a step is: its own, or that of the call. */
  function place(step) {
    const own = trace.places[step[0]];
    return own.inKernel || step[1] < 0 ? own : trace.places[step[1]];
  }

  /** What is wrong with lines of the kernel in this group. */
  function marks() {
    const found = {};
    group().phases.forEach(one => one.warps.forEach((_, warp) => steps(one, warp).forEach(entry => {
      if (isBad(entry.step)) {
        const line = place(entry.step).line;
        const say = isGlobal(entry.step)
          ? 'uncoalesced: ' + array(entry.step).name + ', ' + entry.step[6] + ' sectors where ' + entry.step[7] + ' would do'
          : 'bank conflict: ' + array(entry.step).name + ', ' + entry.step[8] + ' words of one bank';
        (found[line] = found[line] || new Set()).add(say);
      }
    })));
    return found;
  }

  function facts() {
    const c = trace.costs, factor = c.sectors / Math.max(1, c.fewestSectors);
    const list = [
      [many(c.sectors, 'sector') + ' of device memory where ' + c.fewestSectors.toLocaleString('en') + ' would do', factor > 2],
      [many(c.bankConflicts, 'turn') + ' lost to bank conflicts', c.bankConflicts > 0],
      [c.localBytes.toLocaleString('en') + ' bytes of local memory for each group', false],
      [number(100 * c.idle) + ' % of the lanes idle', c.idle > 0.25]];
    $('facts').innerHTML = list.map(f => '<li' + (f[1] ? ' class="bad"' : '') + '>' + f[0] + '</li>').join('');
  }

  function head() {
    const groups = trace.grid[0] * trace.grid[1] * trace.grid[2];
    $('title').textContent = 'Kernel ' + trace.kernel + ', step by step';
    $('about').textContent = 'Task ' + trace.task + ', as the simulator ran it: '
      + (trace.loops.length ? 'iterations of @Parallel loops over ' + trace.loops.join(', ') + ', ' + many(groups, 'warp') + ' of 32.'
        : many(groups, 'group') + ' of ' + many(groupSize, 'work-item') + '.');
    $('grid-about').textContent = trace.groups.length === groups ? 'Choose a group.'
      : 'Choose one of the ' + trace.groups.length + ' groups that this page has, of ' + groups.toLocaleString('en') + '.';
    const kept = {};
    trace.groups.forEach((one, i) => { kept[one.id.join()] = i; });
    const cells = [];
    for (let flat = 0; flat < groups && (groups <= 256 || cells.length < trace.groups.length); flat++) {
      const id = groups <= 256 ? [flat % trace.grid[0], Math.floor(flat / trace.grid[0]) % trace.grid[1],
        Math.floor(flat / (trace.grid[0] * trace.grid[1]))] : trace.groups[cells.length].id;
      const index = kept[id.join()];
      cells.push(index === undefined ? '<span>' + tuple(id) + '</span>'
        : '<button data-group="' + index + '" aria-label="group ' + tuple(id) + '">' + tuple(id) + '</button>');
    }
    $('grid').innerHTML = cells.join('');
    facts();
  }

  function source() {
    const lines = trace.source.lines, bad = marks();
    $('file').textContent = trace.source.file;
    const shown = lines.length ? lines.map((line, i) => [trace.source.first + i, line])
      : Array.from(new Set(trace.places.filter(p => p.inKernel).map(p => p.line))).sort((a, b) => a - b).map(l => [l, '(the source was not found)']);
    $('source').innerHTML = '<table>' + shown.map(l => {
      const say = bad[l[0]] ? Array.from(bad[l[0]]).join('\n') : '';
      const comment = l[1].search(/\/\/|^\s*\/?\*/);
      const code = comment < 0 ? text(l[1]) : text(l[1].slice(0, comment)) + '<i>' + text(l[1].slice(comment)) + '</i>';
      return '<tr data-line="' + l[0] + '"><td>' + l[0] + '</td><td' + (say ? ' tabindex="0" data-tip="' + text(say) + '">!' : '>')
        + '</td><td>' + code + '</td></tr>';
    }).join('') + '</table>';
  }

  function showLine(line, lines) {
    let here = null;
    $('source').querySelectorAll('tr').forEach(row => {
      const its = +row.getAttribute('data-line');
      const kind = its === line ? 'here' : lines.has(its) ? 'phase' : '';
      if (row.className !== kind) { row.className = kind; }
      if (its === line || !here && line < 0 && lines.has(its)) { here = row; }
    });
    if (here) { $('source').scrollTop = here.offsetTop - $('source').clientHeight / 3; }
  }

  const known = new Map();

  /** Everything that is touched in a phase, by array: for each byte offset who was the last. */
  function allOf(inPhase) {
    if (known.has(inPhase)) { return known.get(inPhase); }
    const arrays = {};
    known.set(inPhase, arrays);
    inPhase.warps.forEach((runs, warp) => steps(inPhase, warp).forEach(entry => {
      for (let turn = 1; turn <= entry.turns; turn++) { collect(arrays, entry.step, turn, warp); }
    }));
    return arrays;
  }

  function collect(arrays, step, turn, warp) {
    const key = (isGlobal(step) ? 'g' : 'l') + step[3];
    const one = arrays[key] = arrays[key] || {step: step, cells: new Map(), times: new Map(), reads: false, writes: false};
    if (step[2] % 3 === 0) { one.reads = true; } else { one.writes = true; }
    touched(step, turn).forEach(lane => {
      for (let byte = 0; byte < step[4]; byte += array(step).bytes) {
        const offset = lane[1] + byte;
        one.cells.set(offset, warp * WARP + lane[0]);
        one.times.set(offset, (one.times.get(offset) || 0) + 1);
      }
    });
  }

  function memory(current, turn) {
    const whole = allOf(phase()), now = {};
    if (current) { collect(now, current, turn, state.warp); }
    const keys = Object.keys(whole).sort((a, b) => (a[0] === b[0] ? +a.slice(1) - +b.slice(1) : a[0] === 'g' ? -1 : 1));
    $('memory').innerHTML = keys.filter(key => !current || now[key]).concat(keys.filter(key => current && !now[key])).map(key => drawArray(whole[key], now[key], current)).join('')
      || '<p class="soft">No memory is touched in this phase.</p>';
  }

  const wide = new Set();

  function drawArray(all, now, current) {
    const its = array(all.step), global = isGlobal(all.step);
    if (current && !now) {
      return '<div class="array"><h4>' + text(its.name) + ' <span>' + (global ? 'device' : 'local') + ' memory, not touched by this step</span></h4></div>';
    }
    const rowOf = offset => Math.floor((global ? offset : offset - its.offset + its.offset % ROW) / ROW);
    let rows = Array.from(new Set(Array.from(all.cells.keys()).map(rowOf))).sort((a, b) => a - b);
    const total = rows.length;
    const key = (global ? 'g' : 'l') + all.step[3];
    if (total > MOST_ROWS && !wide.has(key)) {
      const wanted = new Set(now ? Array.from(now.cells.keys()).map(rowOf) : []);
      const first = now ? Math.min.apply(null, Array.from(wanted)) : rows[0];
      const spare = MOST_ROWS - wanted.size;
      const others = new Set(rows.filter(row => row >= first && !wanted.has(row)).slice(0, Math.max(0, spare)));
      rows = rows.filter(row => wanted.has(row) || others.has(row)).slice(0, Math.max(MOST_ROWS, WARP + 1));
    }
    const y = {};
    let height = global ? 2 : 15, before = null;
    rows.forEach(row => {
      if (before !== null && row !== before + 1) { height += 6; }
      y[row] = height;
      height += HIGH;
      before = row;
    });
    const parts = [];
    if (!global) {
      for (let bank = 0; bank < BANKS; bank += 8) {
        parts.push('<text x="' + (LEFT + bank * 4 * UNIT) + '" y="10">bank ' + bank + '</text>');
      }
    }
    const base = global ? trace.header : its.offset % ROW;
    rows.forEach(row => {
      const index = Math.max(0, Math.ceil((row * ROW - base) / its.bytes));
      parts.push('<text x="' + (LEFT - 5) + '" y="' + (y[row] + HIGH - 3) + '" text-anchor="end">' + index + '</text>'
        + '<rect class="row" x="' + LEFT + '" y="' + y[row] + '" width="' + ROW * UNIT + '" height="' + HIGH + '"/>');
      if (global && row === 0) {
        parts.push('<rect class="header" x="' + LEFT + '" y="' + y[row] + '" width="' + base * UNIT + '" height="' + HIGH + '"/>');
      }
    });
    const cells = (now || all).cells, times = (now || all).times;
    let hidden = 0;
    cells.forEach((item, offset) => {
      const at = global ? offset : offset - its.offset + its.offset % ROW;
      if (y[rowOf(offset)] === undefined) { hidden++; return; }
      const held = valueOf(all.step, element(all.step, offset));
      parts.push('<rect x="' + (LEFT + at % ROW * UNIT + 0.6).toFixed(1) + '" y="' + (y[rowOf(offset)] + 1) + '" width="'
        + Math.max(1, its.bytes * UNIT - 1.2).toFixed(1) + '" height="' + (HIGH - 2) + '" style="fill:' + colour(item) + '" data-tip="'
        + text(its.name) + '[' + element(all.step, offset) + '], work-item ' + itemName(item) + (times.get(offset) > 1 ? ', the last of ' + times.get(offset) + ' accesses' : '')
        + (global ? '' : ', bank ' + Math.floor(offset / 4) % BANKS) + (held === null ? '' : '\n' + number(held) + ' at the phase’s end') + '"/>');
    });
    if (global) {
      rows.forEach(row => [1, 2, 3].forEach(s => parts.push('<line class="sector" x1="' + (LEFT + s * SECTOR * UNIT) + '" x2="'
        + (LEFT + s * SECTOR * UNIT) + '" y1="' + y[row] + '" y2="' + (y[row] + HIGH) + '"/>')));
    }
    if (now) { parts.push(asked(current, now.cells, its, y, rowOf, height)); }
    const verb = (now || all).reads && (now || all).writes ? 'read and written' : (now || all).writes ? 'written' : 'read';
    return '<div class="array"><h4>' + text(its.name) + ' <span>' + (global ? 'device' : 'local') + ' memory, '
      + (now ? verb + ' now' : verb + ' in this phase')
      + (total > rows.length ? '; ' + rows.length + ' of ' + total + ' rows' : '') + (hidden && now ? ', ' + hidden + ' elements lie outside of them' : '')
      + '</span>' + (total > MOST_ROWS ? ' <button class="warp" data-rows="' + key + '">' + (wide.has(key) ? 'fewer rows' : 'all rows') + '</button>' : '')
      + '</h4><svg viewBox="0 0 ' + WIDTH + ' ' + (height + 3) + '" role="img" aria-label="' + text(its.name) + ': '
      + cells.size + ' elements touched">' + parts.join('') + '</svg></div>';
  }

  /** The sectors that a step asks for, or the banks that have to be asked several times. */
  function asked(step, cells, its, y, rowOf, height) {
    const bad = isBad(step) ? ' bad' : '';
    if (isGlobal(step)) {
      const sectors = new Set();
      cells.forEach((_, offset) => { for (let b = 0; b < its.bytes; b++) { sectors.add(Math.floor((offset + b) / SECTOR)); } });
      return Array.from(sectors).filter(s => y[Math.floor(s / 4)] !== undefined).map(s => '<rect class="asked' + bad + '" x="'
        + (LEFT + s % 4 * SECTOR * UNIT) + '" y="' + y[Math.floor(s / 4)] + '" width="' + SECTOR * UNIT + '" height="' + HIGH + '"/>').join('');
    }
    if (!bad) { return ''; }
    const words = {};
    cells.forEach((_, offset) => { const w = Math.floor(offset / 4); (words[w % BANKS] = words[w % BANKS] || new Set()).add(w); });
    const most = Math.max.apply(null, Object.keys(words).map(bank => words[bank].size));
    return Object.keys(words).filter(bank => words[bank].size === most).map(bank => '<rect class="asked bad" x="' + (LEFT + bank * 4 * UNIT)
      + '" y="13" width="' + 4 * UNIT + '" height="' + (height - 12) + '"/>').join('');
  }

  function valueOf(step, index) {
    const held = isGlobal(step) ? null : phase().local[array(step).name];
    return held && held[index] !== undefined ? held[index] : null;
  }

  function items(current, turn) {
    const active = new Set(current ? touched(current, turn).map(lane => lane[0]) : []);
    const warps = Math.ceil(groupSize / WARP), parts = [];
    $('items-title').textContent = 'Group ' + tuple(group().id) + ': ' + many(groupSize, 'work-item');
    for (let warp = 0; warp < warps; warp++) {
      const cells = [];
      for (let lane = 0; lane < WARP && warp * WARP + lane < groupSize; lane++) {
        const item = warp * WARP + lane, on = current ? warp === state.warp && active.has(lane) : true;
        cells.push('<rect data-item="' + item + '" x="' + (lane * 12 + 1.5) + '" y="1.5" width="9.5" height="11" rx="2" class="'
          + (on ? '' : 'idle') + (item === state.item ? ' chosen-item' : '') + '"' + (on ? ' style="fill:' + colour(item) + '"' : '')
          + ' data-tip="work-item ' + itemName(item) + (current && on ? '\n' + text(array(current).name) + '['
            + element(current, touched(current, turn).find(l => l[0] === lane)[1]) + ']' : '') + '"/>');
      }
      parts.push('<button class="warp' + (warp === state.warp ? ' chosen' : '') + '" data-warp="' + warp + '">warp ' + warp
        + '</button><svg viewBox="0 0 385 14" role="img" aria-label="lanes of warp ' + warp + '">' + cells.join('') + '</svg>');
    }
    $('items').innerHTML = '<div class="warps">' + parts.join('') + '</div>';
  }

  function says(current, entry) {
    const end = phase().end;
    $('phase-says').textContent = (state.phase + 1) + ' of ' + group().phases.length
      + (end < 0 ? ', to the end of the kernel' : ', up to the barrier in line ' + trace.places[end].line);
    const list = steps(phase(), state.warp);
    $('step-says').textContent = state.step === 0 ? 'the whole phase, ' + many(list.length, 'step') + ' of warp ' + state.warp
      : state.step + ' of ' + list.length + ', line ' + place(current).line;
    $('turns').style.visibility = entry && entry.turns > 1 ? 'visible' : 'hidden';
    $('turn-says').textContent = entry ? state.turn + ' of ' + entry.turns : '';
    if (!current) {
      $('now').innerHTML = '<span>All that the group touches in this phase, by work-item.</span>';
      return;
    }
    const lanes = touched(current, state.turn), its = array(current), own = trace.places[current[0]];
    const what = many(lanes.length, 'lane') + ' ' + (lanes.length === 1 ? ACCESS[current[2]][0] : ACCESS[current[2]][0].replace(/s( |$)/, '$1'))
      + ' <b>' + text(its.name) + '</b> in ' + (isGlobal(current) ? 'device' : 'local') + ' memory';
    const badge = isGlobal(current)
      ? (isBad(current) ? 'uncoalesced: ' : '') + many(current[6], 'sector') + ' where ' + current[7] + ' would do'
      : isBad(current) ? current[8] + '-way bank conflict: ' + current[6] + ' turns where ' + current[7] + ' would do' : 'no bank conflict';
    $('now').innerHTML = '<span>' + what + (own.inKernel ? '' : ', in ' + text(own.file) + ':' + own.line) + '</span><span class="badge'
      + (isBad(current) ? ' bad' : '') + '">' + badge + '</span>';
  }

  function table() {
    const list = steps(phase(), state.warp);
    $('phase-table').innerHTML = '<h3>The steps of warp ' + state.warp + ' in this phase</h3>' + (list.length === 0
      ? '<p class="soft">It touches no memory.</p>'
      : '<div class="scroll"><table><thead><tr><th class="number">step</th><th class="number">line</th><th>what</th><th class="number">lanes</th>'
        + '<th class="number">turns</th><th>cost of a turn</th></tr></thead><tbody>' + list.slice(0, 400).map((entry, i) => {
          const s = entry.step, lanes = touched(s, 1).length;
          return '<tr tabindex="0" data-step="' + (i + 1) + '"><td class="number">' + (i + 1) + '</td><td class="number">' + place(s).line + '</td><td>'
            + ACCESS[s[2]][0] + ' ' + text(array(s).name) + '</td><td class="number">' + lanes + '</td><td class="number">' + entry.turns + '</td><td'
            + (isBad(s) ? ' class="bad"' : '') + '>' + (isGlobal(s) ? many(s[6], 'sector') : many(s[6], 'turn') + ' of the banks')
            + (s[6] > s[7] ? ' where ' + s[7] + ' would do' : '') + '</td></tr>';
        }).join('') + '</tbody></table></div>' + (list.length > 400 ? '<p class="soft">' + (list.length - 400) + ' more are on the slider.</p>' : ''));
  }

  /** Marks the step that is looked at, and has its row in sight. */
  function showStep() {
    const rows = Array.from($('phase-table').querySelectorAll('tr[data-step]'));
    rows.forEach((row, i) => { row.className = i + 1 === state.step ? 'here' : ''; });
    const here = rows[state.step - 1];
    if (rows.length > 0) {
      const list = $('phase-table').querySelector('.scroll');
      list.scrollTop = here ? here.offsetTop - list.clientHeight / 3 : 0;
    }
  }

  /** The variables of a work-item over time, and small local arrays at the ends of phases. */
  function series() {
    const traced = group().values, its = traced.find(v => v.item === state.item) || traced[0], list = [];
    if (its) {
      const families = {};
      its.names.forEach((name, i) => {
        const stem = /^([A-Za-z]+)\d+$/.exec(name);
        const family = stem && its.names.filter(n => n.replace(/\d+$/, '') === stem[1] && n !== stem[1]).length > 7 ? stem[1] + '…' : name;
        (families[family] = families[family] || []).push(i);
      });
      Object.keys(families).forEach(name => {
        const indices = families[name];
        const points = its.moments.map(m => ({phase: m[1], place: m[0], line: trace.places[m[0]].line,
          value: indices.length > 1 ? indices.map(i => m[2 + i]) : m[2 + indices[0]]})).filter(p => Array.isArray(p.value) ? p.value.some(v => v !== null) : p.value !== null);
        if (points.length) { list.push({name: name, item: its.item, points: ofOnePlace(points)}); }
      });
    }
    const names = new Set();
    group().phases.forEach(one => Object.keys(one.local).forEach(name => names.add(name)));
    names.forEach(name => {
      const points = group().phases.map((one, i) => ({phase: i, line: one.end < 0 ? 0 : trace.places[one.end].line, value: one.local[name]}))
        .filter(p => p.value && p.value.some(v => v !== null));
      if (points.length) { list.push({name: name, item: -1, points: points}); }
    });
    return list;
  }

  /** Of the places in the code at which a variable was looked at, the one with the fewest moments, but several: tile by tile. */
  function ofOnePlace(points) {
    const byPlace = new Map();
    points.forEach(p => byPlace.set(p.place, (byPlace.get(p.place) || []).concat([p])));
    const several = Array.from(byPlace.values()).filter(group => group.length > 1).sort((a, b) => a.length - b.length || b[0].line - a[0].line);
    return several.length ? several[0] : points;
  }

  const when = point => 'phase ' + (point.phase + 1) + (point.line ? ', line ' + point.line : ', the end');

  function lineChart(s, role) {
    const values = s.points.map(p => p.value), low = Math.min.apply(null, values), high = Math.max.apply(null, values);
    const x = i => 6 + 318 * (values.length === 1 ? 0.5 : i / (values.length - 1)), y = v => 84 - 74 * (high === low ? 0.5 : (v - low) / (high - low));
    const past = s.points.filter(p => p.phase <= state.phase).length;
    const path = (from, to) => values.slice(from, to).map((v, i) => (i ? 'L' : 'M') + x(from + i).toFixed(1) + ' ' + y(v).toFixed(1)).join('');
    return figure(s, role, number(values[Math.max(0, past - 1)]), '<svg viewBox="0 0 330 90" role="img" aria-label="' + text(s.name) + ' from ' + number(values[0])
      + ' to ' + number(values[values.length - 1]) + '"><path class="line later" d="' + path(0, values.length) + '"/><path class="line" d="' + path(0, past) + '"/>'
      + values.map((v, i) => '<circle class="point' + (i < past ? '' : ' later') + '" cx="' + x(i).toFixed(1) + '" cy="' + y(v).toFixed(1) + '" r="3.2" data-tip="'
        + text(s.name) + ' = ' + number(v) + '\n' + when(s.points[i]) + '"/>').join('') + '</svg>');
  }

  function heatStrip(s, role) {
    const length = Math.max.apply(null, s.points.map(p => p.value.length)), high = Math.min(12, Math.max(3, 200 / s.points.length));
    // What stands for «no score yet» would drown all else.
    const most = Math.max.apply(null, s.points.map(p => Math.max.apply(null, p.value.map(v => v === null || Math.abs(v) > 1e29 ? 0 : Math.abs(v))))) || 1;
    const cells = s.points.map((p, i) => p.value.map((v, j) => v === null || Math.abs(v) > 1e29 ? '' : '<rect x="' + (330 * j / length).toFixed(1) + '" y="'
      + (high * i).toFixed(1) + '" width="' + Math.max(0.5, 330 / length - 0.5).toFixed(1) + '" height="' + (high - 1).toFixed(1) + '"'
      + (p.phase <= state.phase ? '' : ' class="later"') + ' style="fill:var(--' + (v < 0 ? 'cold' : 'warm') + ');fill-opacity:' + (0.06 + 0.94 * Math.abs(v) / most).toFixed(2)
      + '" data-tip="' + text(s.name) + '[' + j + '] = ' + number(v) + '\n' + when(p) + '"/>').join('')).join('');
    return figure(s, role, 'up to ' + number(most), '<svg viewBox="0 0 330 ' + Math.ceil(high * s.points.length) + '" role="img" aria-label="' + text(s.name) + ', ' + length
      + ' elements, ' + s.points.length + ' moments">' + cells + '</svg><p class="soft">' + many(length, 'element') + ' across, time downward; <span style="color:var(--warm)">positive</span>, <span style="color:var(--cold)">negative</span></p>');
  }

  function figure(s, role, says, svg) {
    const whose = s.item < 0 ? 'of the group' : 'of work-item ' + itemName(s.item);
    return '<figure><h4>' + (role || text(s.name)) + '<span>' + says + '</span></h4><p class="soft">' + (role ? '<b>' + text(s.name) + '</b>, ' : '') + whose + '</p>' + svg + '</figure>';
  }

  const chart = (s, role) => Array.isArray(s.points[0].value) ? heatStrip(s, role) : lineChart(s, role);

  function values() {
    const list = series(), roles = ROLES.map(role => list.filter(s => role[1].test(s.name)));
    const softmax = roles.every(found => found.length > 0), inRole = new Set();
    let html = '';
    if (softmax) {
      html += '<h2>The online softmax grows, tile by tile</h2><p class="soft">What is behind the phase that you look at is faint. Choose a work-item above for its own.</p><div class="charts">'
        + ROLES.map((role, i) => roles[i].map(s => { inRole.add(s); return chart(s, role[0]); }).join('')).join('') + '</div>';
    }
    const others = list.filter(s => !inRole.has(s));
    const arrays = others.filter(s => Array.isArray(s.points[0].value)), scalars = others.filter(s => !Array.isArray(s.points[0].value));
    if (others.length) {
      html += '<h2>' + (softmax ? 'Other variables' : 'Variables') + '</h2><p class="soft">At barriers and at the ends of turns of the outermost loops; integers and numbers as they are now.</p>';
      html += '<div class="charts">' + arrays.map(s => chart(s)).join('') + (softmax ? '' : scalars.filter(s => s.points.some(p => p.value % 1)).map(s => chart(s)).join('')) + '</div>';
      html += '<ul class="numbers">' + scalars.map(s => {
        const past = s.points.filter(p => p.phase <= state.phase);
        return past.length ? '<li>' + text(s.name) + ' ' + number(past[past.length - 1].value) + '</li>' : '';
      }).join('') + '</ul>';
    }
    $('values').innerHTML = html;
  }

  function draw(what) {
    const list = steps(phase(), state.warp);
    state.step = Math.min(state.step, list.length);
    const entry = state.step > 0 ? list[state.step - 1] : null, current = entry && entry.step;
    state.turn = entry ? Math.min(state.turn, entry.turns) : 1;
    $('phase').max = group().phases.length - 1; $('phase').value = state.phase;
    $('step').max = list.length; $('step').value = state.step;
    $('turn').max = entry ? entry.turns : 1; $('turn').value = state.turn;
    says(current, entry);
    items(current, state.turn);
    memory(current, state.turn);
    showLine(current ? place(current).line : -1, new Set(list.map(e => place(e.step).line)));
    if (what === 'group') {
      source();
      document.querySelectorAll('#grid button').forEach((button, i) => { button.className = i === state.group ? 'chosen' : ''; });
      showLine(current ? place(current).line : -1, new Set(list.map(e => place(e.step).line)));
    }
    if (what !== 'step') { table(); values(); }
    showStep();
  }

  function move(by) {
    const list = steps(phase(), state.warp), entry = state.step > 0 ? list[state.step - 1] : null;
    if (by > 0 && state.step < list.length) { state.step++; state.turn = 1; draw('step'); return true; }
    if (by < 0 && state.step > 0) { state.step--; state.turn = 1; draw('step'); return true; }
    const next = state.phase + by;
    if (next < 0 || next >= group().phases.length) { return false; }
    state.phase = next;
    state.turn = 1;
    state.step = by > 0 ? 0 : steps(phase(), state.warp).length;
    draw('phase');
    return entry !== undefined;
  }

  function play(on) {
    clearInterval(state.timer);
    state.timer = on ? setInterval(() => { if (!move(1)) { play(false); } }, 700) : null;
    $('play').textContent = on ? 'Pause' : 'Play';
  }

  const slider = (id, change) => $(id).addEventListener('input', event => { play(false); change(+event.target.value); });
  slider('phase', value => { state.phase = value; state.step = 0; state.turn = 1; draw('phase'); });
  slider('step', value => { state.step = value; state.turn = 1; draw('step'); });
  slider('turn', value => { state.turn = value; draw('step'); });
  $('back').addEventListener('click', () => { play(false); move(-1); });
  $('on').addEventListener('click', () => { play(false); move(1); });
  $('play').addEventListener('click', () => play(!state.timer));
  document.addEventListener('keydown', event => {
    if (event.target.tagName === 'INPUT' || event.target.tagName === 'BUTTON') { return; }
    const row = event.target.closest ? event.target.closest('[data-step]') : null;
    if (event.key === 'ArrowRight') { play(false); move(1); } else if (event.key === 'ArrowLeft') { play(false); move(-1); }
    else if (row && event.key === 'Enter') { state.step = +row.getAttribute('data-step'); state.turn = 1; draw('step'); }
    else if (event.key === ' ') { event.preventDefault(); play(!state.timer); }
  });
  document.addEventListener('click', event => {
    const rows = event.target.closest ? event.target.closest('[data-rows]') : null;
    if (rows) {
      const key = rows.getAttribute('data-rows');
      if (!wide.delete(key)) { wide.add(key); }
      draw('step');
    }
    const own = name => { const found = event.target.closest ? event.target.closest('[' + name + ']') : null; return found ? +found.getAttribute(name) : -1; };
    if (own('data-group') >= 0) { state.group = own('data-group'); state.phase = Math.min(state.phase, group().phases.length - 1); state.step = 0; draw('group'); }
    else if (own('data-warp') >= 0) { state.warp = own('data-warp'); draw('warp'); }
    else if (own('data-item') >= 0) { state.item = own('data-item'); state.warp = Math.floor(state.item / WARP); draw('warp'); }
    else if (own('data-step') >= 0) { state.step = own('data-step'); state.turn = 1; draw('step'); }
  });
  head();
  draw('group');
})();
