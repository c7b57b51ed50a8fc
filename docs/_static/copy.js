/* A button on every block of commands or code that copies its text. */
document.addEventListener('DOMContentLoaded', () => {
  for (const block of document.querySelectorAll('.highlight-bash .highlight, .highlight-python .highlight')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      const text = block.querySelector('pre').textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch { // not allowed, as in some browsers for files: select it instead
        getSelection().selectAllChildren(block.querySelector('pre'));
        button.textContent = 'Press Ctrl-C';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    block.append(button);
  }
});
