// Begins the page. A module that does not come, as when the network changes just then, is
// asked for again: the browser remembers that it failed for as long as the page is there.

const tried = 'tries';

try {
  await import('./main.js');
  sessionStorage.removeItem(tried);
} catch (error) {
  const tries = Number(sessionStorage.getItem(tried)) || 0;
  if (tries < 5) {
    sessionStorage.setItem(tried, tries + 1);
    setTimeout(() => location.reload(), 300 * 2 ** tries);
  } else {
    sessionStorage.removeItem(tried);
    document.getElementById('main').textContent = 'The page could not be loaded: ' + error.message + '. Reload it to try again.';
  }
}
