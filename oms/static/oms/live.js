/* Draws the live page's charts; called again whenever htmx has renewed the page. */
function omsCharts() {
  const style = getComputedStyle(document.documentElement);
  const named = (value) => (value.startsWith("var(") ? style.getPropertyValue(value.slice(4, -1)).trim() : value);
  for (const canvas of document.querySelectorAll("canvas.oms-chart")) {
    const data = JSON.parse(canvas.dataset.value);
    for (const set of data.datasets) set.backgroundColor = named(set.backgroundColor);
    Chart.defaults.font.family = "Inter";
    Chart.getChart(canvas)?.destroy();
    new Chart(canvas, {
      type: "bar",
      data,
      options: {
        animation: false,
        maintainAspectRatio: false,
        plugins: { legend: { display: false } },
        scales: {
          x: { grid: { display: false }, border: { display: false }, ticks: { color: "#9ca3af", maxTicksLimit: 8, maxRotation: 0 } },
          y: { beginAtZero: true, border: { display: false }, grid: { color: "rgba(148,163,184,.18)" }, ticks: { color: "#9ca3af", precision: 0, maxTicksLimit: 5 } },
        },
      },
    });
  }
}
